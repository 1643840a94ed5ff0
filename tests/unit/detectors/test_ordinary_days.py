"""No alert on ordinary days: a week after a change of the clocks, with all that belongs to one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streams.detectors.concerns import detectors_of
from streams.detectors.settings_file import Detectors
from streams.guard.concern import Accepted
from tests.support.detectors import AT, entry
from tests.support.ledger_rows import journal_row

NEW_YORK = ZoneInfo("America/New_York")
MONDAY = datetime(2026, 3, 9, 5, tzinfo=UTC)
"""The clocks of New York went forward the day before."""
QUARTER = timedelta(minutes=15)


class Company:
    """What four teams do in a quarter of an hour."""

    def __init__(self) -> None:
        self._rng = random.Random(11)

    def rows(self, at: datetime) -> Iterator[dict[str, Any]]:
        local = at.astimezone(NEW_YORK)
        weekday, hour = local.weekday() < 5, local.hour
        # Office hours, with a peak at lunch; hardly anybody at night and at weekends.
        office = (30 if 8 <= hour < 18 else 1) * (3 if hour == 12 else 1) if weekday else 1
        yield from self._calls(at, "support", "desk", "answering", 10 * office, 900, "0.02")
        yield from self._calls(at, "search", "site", "ranking", 400, 300, "0.001")
        if 1 <= hour < 4:
            yield from self._calls(at, "data", "importer", "indexing", 300, 20_000, "0.05")
        yield from self._calls(at, "data", "importer", "questions", 20, 5_000, "0.05")
        if at >= MONDAY + timedelta(days=1) and weekday and 9 <= hour < 17:
            yield from self._calls(at, "newcomers", "first-steps", "trying", 60, 6_000, "0.03")

    def _calls(
        self, at: datetime, team: str, application: str, use_case: str, calls: int, tokens: int,
        dollars: str,
    ) -> Iterator[dict[str, Any]]:  # fmt: skip
        parts = 1 if at < MONDAY else 3
        for part in range(parts):
            count = max(1, calls * self._rng.randrange(70, 130) // (100 * parts))
            yield journal_row(
                minute=at + timedelta(minutes=5 * part),
                team=team,
                application=application,
                use_case=use_case,
                workflow=f"{team}-{at:%d%H}-{self._rng.randrange(8)}",
                calls=count,
                cost=count * Decimal(dollars),
                input_tokens=count * tokens * self._rng.randrange(80, 120) // 100,
                output_tokens=count * 150,
            )


@pytest.fixture(scope="module")
def hours() -> list[Accepted]:
    """Four weeks in one entry, then a week of one for each hour."""
    company = Company()
    start, end = MONDAY - timedelta(weeks=4, days=1), MONDAY + timedelta(days=7)
    quarters = [start + number * QUARTER for number in range((end - start) // QUARTER)]
    rows = {at: list(company.rows(at)) for at in quarters}
    past = [row for at in quarters if at < MONDAY for row in rows[at]]
    turns = [at for at in quarters if at >= MONDAY and at.minute == 0]
    week = [[row for q in range(4) for row in rows[at + q * QUARTER]] for at in turns]
    return [entry(*part) for part in (past, *week)]


def reported(hours: list[Accepted]) -> dict[str, set[str]]:
    """The transitions of each rule; a day that is fine is nobody's."""
    detectors = detectors_of(Detectors())
    found: dict[str, set[str]] = {}
    for took in hours:
        for detector in detectors:
            detector.apply(took)
            for alert in detector.alerts(AT, took.now):
                if alert.rule != "unattributed" or alert.transition != "resolved":
                    found.setdefault(alert.rule, set()).add(f"{alert.scope} {alert.transition}")
    return found


def test_nothing_is_reported(hours):
    assert reported(hours) == {}


def test_what_is_not_ordinary_is_reported_and_nothing_else(hours):
    wednesday = 1 + 2 * 24 + 9
    before, usual, after = hours[:wednesday], hours[wednesday], hours[wednesday + 1 :]
    desk = {
        "minute": MONDAY + timedelta(hours=wednesday - 1),
        "team": "support",
        "application": "desk",
        "use_case": "answering",
    }
    odd = entry(
        journal_row(**desk, calls=2000, workflow="loop", cost=Decimal(40), input_tokens=1_800_000),
        journal_row(**desk, calls=3000, cost=Decimal(60), input_tokens=60_000_000),
    )
    desk_scope = {"team": "support", "application": "desk"}
    assert reported([*before, odd, usual, *after]) == {
        rule: {f"{scope} opened", f"{scope} resolved"}
        for rule, scope in {
            "runaway": desk_scope | {"workflow": "loop"},
            "context_bloat": desk_scope | {"use_case": "answering"},
            "anomaly": {"team": "support"},
        }.items()
    }
