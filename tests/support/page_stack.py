"""A running stack with something to see on the page: calls of the last weeks, budgets, alerts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from schemas.usage import UsageEvent
from streams.alerts.topic import publish
from streams.web.tokens import entry
from tests.support.alerts import an_alert
from tests.support.landed_month import OCTOBER, TEAMS, any_events
from tests.support.running_stack import RunningStack
from tests.support.waiting import wait_until

BOARD, SERVICE, SENDER = "sps_board", "sps_service", "sps_sender"
"""Tokens: who sees and may do everything; who sees the department service; who sends events."""
CALLS = 1200
BATCH = 400
BUDGETS = """
exchange_rates: {HKD: {2026-01-01: 7.8}}
budgets:
  - {name: organisation, limit: 4000}
  - {name: teams, each: team, limit: 900}
"""


class PageStack:
    """``url``: where its page is. ``weeks``: query of the period that has all calls."""

    def __init__(self, folder: Path) -> None:
        lines = [
            entry("board", BOARD, [], ["page", "acknowledge"]),
            entry("lead", SERVICE, [], ["page", "acknowledge"], {"departments": ["service"]}),
            entry("sender", SENDER, ["*"], ["events"]),
        ]
        (folder / "tokens.yaml").write_text("\n".join(["tokens:", *lines, ""]))
        (folder / "budgets.yaml").write_text(BUDGETS)
        files = [f"--{name}={folder / name}.yaml" for name in ("tokens", "budgets")]
        self.stack = RunningStack(folder / "spendstream", *files)
        self.url = f"http://127.0.0.1:{self.stack.ports.ingest}"
        self.alerts = [
            an_alert(scope={"team": team}, title=f"Team {team} has used 81 %") for team in TEAMS
        ]

    def start(self) -> None:
        """Start it, and wait until ClickHouse has everything."""
        self.stack.start()
        now = datetime.now(UTC)
        events = list(self._events(now))
        self.first, self.last = events[0].occurred_at.date(), now.date()
        batches = iter(events)
        while batch := list(islice(batches, BATCH)):
            self.send(batch)
        asyncio.run(self._alert())
        wait_until("all calls in the ledger", lambda: self._count("sum(calls) FROM spend") >= CALLS)
        alerts = "count() FROM open_alerts WHERE rule = 'budget'"
        wait_until("the alerts", lambda: self._count(alerts) >= len(self.alerts))
        wait_until("the rates", lambda: self._count("count() FROM exchange_rates") > 0)

    def stop(self) -> None:
        """As `RunningStack.stop`."""
        self.stack.stop()

    @property
    def weeks(self) -> str:
        """Of a URL: the period of all calls."""
        return f"from={self.first}&to={self.last}"

    def send(self, events: list[UsageEvent]) -> None:
        """Post events, as a producer does."""
        body = [event.model_dump(mode="json", exclude_none=True) for event in events]
        request = Request(  # noqa: S310 - ours
            f"{self.url}/v1/events",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {SENDER}"},
        )
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
            assert answer.status == 202, answer.read()

    def one_more(self, number: int, team: str = "search", department: str = "product") -> None:
        """A call of just now that costs $2.50."""
        now = datetime.now(UTC)
        fields: dict[str, Any] = {"model": "gpt-4o", "input_tokens": 1_000_000}
        event = UsageEvent(
            event_id=f"more-{number}",
            occurred_at=now,
            provider="openai",
            team=team,
            department=department,
            usage_source="reported",
            **fields,
        )
        self.send([event])

    def _events(self, now: datetime) -> Iterator[UsageEvent]:
        """Those of two months, pushed together into six weeks that end a minute ago."""
        end = OCTOBER + timedelta(days=61)
        for event in any_events(CALLS):
            at = now - (end - event.occurred_at) * 42 / 61 - timedelta(minutes=1)
            # A team of whose calls some are of no department is nobody's as a whole.
            department = "service" if TEAMS[event.team] == "service" else event.department
            yield event.model_copy(update={"occurred_at": at, "department": department})

    async def _alert(self) -> None:
        for alert in self.alerts:
            await publish(self.stack.settings, alert.model_copy(update={"at": datetime.now(UTC)}))

    def _count(self, what: str) -> int:
        ((count,),) = self.stack.query(f"SELECT {what}")
        return int(count)
