"""Two months of usage, landed as the stages land it: ledger, archive, outcomes and budgets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.journal import Counted, SourcePartition
from schemas.outcome import checked_outcome
from schemas.usage import UsageEvent
from schemas.wire import encode, no_registry
from sinks.archive import Archive, Landed
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from sinks.outcomes import Outcomes, Read, Reported
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.budgets.pace import Pace
from streams.guard.budget_landing import BudgetLanding
from streams.guard.clock import EventClock
from streams.guard.concern import AsOf
from streams.guard.state import Follower
from streams.journal.fence import Fence
from streams.landing.archive import archive_rows
from streams.metering.batch import Span, meter_batch
from streams.metering.dedupe import IdWindow
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from tests.support.ledger_rows import JOURNAL, SOURCE
from tests.support.records import Record

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
TEAMS = {"search": "product", "assistant": "product", "support": "service", "claims": "service"}
BUDGETS: dict[str, Any] = {
    "exchange_rates": {"HKD": {"2026-01-01": "7.8", "2026-11-10": "7.7935"}},
    "budgets": [
        {"name": "organisation", "limit": "40"},
        {"name": "teams", "each": "team", "limit": "9"},
        {"name": "users", "each": "user", "limit": "60", "unit": "HKD"},
        {
            "name": "tokens of search",
            "where": {"team": "search"},
            "limit": "9000000",
            "unit": "tokens",
        },
    ],
}


def any_events(count: int = 1200, seed: int = 5) -> Iterator[UsageEvent]:
    """Calls of October and November 2026, evenly spread, every column of a report used."""
    dice = random.Random(seed)
    for number in range(count):
        at = OCTOBER + timedelta(minutes=number * 61 * 24 * 60 // count)
        team = dice.choice(list(TEAMS))
        tier = dice.choice((None, "cost-optimised", "cost-optimised", "balanced", "frontier"))
        model = {"cost-optimised": "gpt-4o-mini", "frontier": "gpt-4.1"}.get(tier or "", "gpt-4o")
        missing = dice.random() < 0.01
        hit = dice.random() < 0.05
        yield UsageEvent(
            event_id=f"e{number}",
            occurred_at=at,
            provider="openai",
            model="no-such-model" if dice.random() < 0.02 else model,
            team=team,
            department=None if dice.random() < 0.05 else TEAMS[team],
            project=dice.choice((None, "atlas", "hermes")),
            use_case=dice.choice((None, "answers", "triage")),
            user=None if dice.random() < 0.2 else f"user-{dice.randrange(30)}",
            workflow=f"run-{dice.randrange(200)}",
            status=dice.choice(("ok", "ok", "ok", "ok", "ok", "timeout")),
            attempt=dice.choice((1, 1, 1, 2)),
            routing_tier=tier,
            served_from_cache=hit,
            prompt_hash=f"p{dice.randrange(20)}",
            shadow_of=f"e{number - 1}" if dice.random() < 0.03 and number else None,
            usage_source="missing"
            if missing
            else dice.choice(("reported", "reported", "estimated")),
            input_tokens=None if missing else dice.randrange(1000, 20_000),
            cache_read_tokens=None if missing else dice.randrange(4000),
            output_tokens=None if missing else dice.randrange(3000),
        )


def land_events(clickhouse: ClickHouse, events: list[UsageEvent], position: int = 0) -> None:
    """One entry of the ledger, recorded when its last event was; and the archive."""
    records = [Record(0, offset, encode(event)) for offset, event in enumerate(events)]
    book = PriceBook.load()
    (draft,) = meter_batch(
        [Span(SOURCE, 0, 0, records)], {0: IdWindow(10**5)}, book, no_registry, 10**6
    ).drafts
    last = max(event.occurred_at for event in events)
    counted = Counted(draft.ranges, None, draft.rows)
    Ledger(clickhouse, JOURNAL).write(position, draft.ranges, counted, last)
    decoded, refused = decoded_records(records, book, no_registry)
    assert not refused
    archive = Archive(clickhouse, SOURCE)
    landed = Landed(SourcePartition(SOURCE, 0), 0, len(records) - 1)
    archive.write(archive_rows(decoded), [landed], archive.register_source())


def land_outcomes(clickhouse: ClickHouse) -> None:
    """Resolved tickets by team support, and insights by team search; in both months."""
    fields = [
        {"team": "support", "use_case": "triage", "name": "resolved ticket", "value": "1"},
        {"team": "search", "name": "insight delivered", "value": "3"},
    ]
    reported = []
    for number in range(90):
        at = (OCTOBER + timedelta(hours=16 * number)).isoformat()
        known = {"outcome_id": f"o{number}", "occurred_at": at, "of": f"e{number}"}
        outcome = checked_outcome(known | fields[number % 2])
        reported.append(Reported(outcome, 0, number, 0))
    Outcomes(clickhouse, SOURCE).write(reported, {0: Read(len(reported) - 1)})


async def land_budgets(
    clickhouse: ClickHouse, now: datetime, position: int = 0, book: dict[str, Any] = BUDGETS
) -> None:
    """Budgets against actuals, as a guard that starts now lands them."""
    budgets = Budgets(BudgetBook.model_validate(book))
    concerns = (budgets, Pace(budgets))
    at = AsOf(JOURNAL, position)
    for concern in concerns:
        concern.load(clickhouse, at, now)
    follower = Follower(concerns, Fence(), at, EventClock(now))
    await BudgetLanding(clickhouse, Path("budgets.yaml")).land(follower)


def newest_position(clickhouse: ClickHouse) -> int:
    """Of the ledger."""
    return Ledger(clickhouse, JOURNAL).progress().position
