"""Burn rates and forecasts: they warn before a threshold does, and not of an ordinary day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.alerts import Alert
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.budgets.pace import Pace
from tests.support.ledger_rows import accepted_entry, journal_row

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
EVEN = Decimal("0.5")
"""Dollars an hour that use up 372 dollars in the 744 hours of March."""


class Followed:
    """The two concerns with one budget, and what they have said of its pace."""

    def __init__(self, **changes: Any) -> None:
        fields = {"name": "search", "where": {"team": "search"}, "limit": "372"}
        book = BudgetBook.model_validate({"budgets": [fields | changes]})
        self.budgets = Budgets(book)
        self.pace = Pace(self.budgets)
        self.said: list[Alert] = []
        self.position = 0

    def spend(self, moments: Iterable[datetime], cost: Decimal, **changes: Any) -> None:
        for minute in moments:
            self.position += 1
            entry = accepted_entry(self.position, journal_row(minute=minute, cost=cost, **changes))
            for concern in (self.budgets, self.pace):
                concern.apply(entry)
            self.said += self.pace.alerts(entry.at, entry.now)

    def of(self, rule: str) -> list[tuple[str, int]]:
        """Transitions and levels, each once where it goes on."""
        told = [(a.transition, a.level) for a in self.said if a.rule == rule]
        return [one for i, one in enumerate(told) if i == 0 or one != told[i - 1]]


def every(step: timedelta, start: datetime, end: datetime) -> list[datetime]:
    return [start + n * step for n in range((end - start) // step)]


def test_an_even_pace_warns_of_nothing():
    followed = Followed()
    followed.spend(every(6 * HOUR, MARCH, MARCH + timedelta(days=31)), EVEN * Decimal("5.7"))
    assert followed.said == []


def test_fifteen_times_too_fast_for_an_hour_is_level_two_and_ends_with_it():
    followed = Followed(forecast=False)
    start = MARCH + timedelta(days=3)
    followed.spend(every(HOUR, MARCH, start), EVEN)
    followed.spend(every(MINUTE, start, start + HOUR), EVEN / 4)
    assert followed.of("burn_rate")[-1] == ("opened", 2)
    alert = followed.said[-1]
    assert (alert.severity, alert.scope) == ("critical", {"team": "search", "budget": "search"})
    assert "times too fast" in alert.title
    followed.spend(every(HOUR, start + 2 * HOUR, start + 4 * HOUR), EVEN / 10)
    assert followed.of("burn_rate")[-1][0] == "resolved"


def test_seven_times_too_fast_for_six_hours_is_level_one():
    followed = Followed(forecast=False)
    followed.spend(every(5 * MINUTE, MARCH, MARCH + 7 * HOUR), EVEN * Decimal("0.6"))
    assert followed.of("burn_rate") == [("opened", 1)]


def test_a_burst_of_minutes_is_no_burn():
    followed = Followed(forecast=False)
    followed.spend(every(HOUR, MARCH, MARCH + timedelta(days=3)), EVEN)
    followed.spend(
        every(MINUTE, MARCH + timedelta(days=3), MARCH + timedelta(days=3, minutes=4)), EVEN
    )
    assert followed.said == []


@pytest.mark.parametrize(("asked", "expected"), [(None, []), ("true", [("opened", 2)])])
def test_bursts_of_one_person_are_watched_only_where_the_budget_says_so(asked, expected):
    wanted = {} if asked is None else {"burn_rate": asked}
    followed = Followed(where={}, each="user", forecast="false", **wanted)
    followed.spend(every(MINUTE, MARCH, MARCH + HOUR), EVEN, user="ada")
    assert followed.of("burn_rate") == expected


def test_a_budget_that_will_break_is_forecast_once_there_are_three_days_to_go_by():
    followed = Followed(burn_rate="false")
    followed.spend(every(HOUR, MARCH, MARCH + timedelta(days=3)), EVEN * 2)
    assert followed.said == []
    followed.spend(every(HOUR, MARCH + timedelta(days=3), MARCH + timedelta(days=4)), EVEN * 2)
    assert followed.of("forecast") == [("opened", 1)]
    alert = followed.said[-1]
    assert alert.title == "Team search will break its 2026-03 budget"
    assert "2026-03-16" in alert.detail


def test_a_forecast_that_eases_is_taken_back_with_some_way_to_go():
    followed = Followed(burn_rate="false")
    followed.spend(every(HOUR, MARCH, MARCH + timedelta(days=5)), EVEN * Decimal("1.05"))
    assert followed.of("forecast") == [("opened", 1)]
    followed.spend(every(HOUR, MARCH + timedelta(days=5), MARCH + timedelta(days=13)), EVEN / 2)
    assert followed.of("forecast") == [("opened", 1), ("resolved", 1)]


def test_a_period_that_has_just_begun_is_not_forecast_from_the_last_ones_pace():
    followed = Followed(burn_rate="false")
    before = MARCH - timedelta(days=7)
    followed.spend(every(HOUR, before, MARCH + timedelta(days=1)), EVEN * 2)
    assert [alert.period for alert in followed.said] == ["2026-02"] * len(followed.said)
    followed.spend(every(HOUR, MARCH + timedelta(days=1), MARCH + timedelta(days=2)), EVEN * 2)
    assert followed.said[-1].period == "2026-03"


def test_the_outlook_states_pace_forecast_and_breach():
    followed = Followed()
    followed.spend(every(HOUR, MARCH, MARCH + timedelta(days=10)), EVEN * 2)
    now = MARCH + timedelta(days=10) - HOUR
    (spent,) = followed.budgets.current(now)
    outlook = followed.pace.outlook(spent, now)
    assert spent.used == 240
    assert outlook.hourly == 1
    assert outlook.forecast == 240 + 505
    assert outlook.breach == now + timedelta(hours=132)


def test_tokens_and_calls_have_a_pace_too():
    followed = Followed(unit="calls", limit="744", burn_rate="false")
    followed.spend(every(HOUR, MARCH, MARCH + timedelta(days=10)), EVEN, calls=2)
    now = MARCH + timedelta(days=10) - HOUR
    (spent,) = followed.budgets.current(now)
    assert followed.pace.outlook(spent, now).forecast == 480 + 2 * 505
    assert followed.of("forecast") == [("opened", 1)]


def test_a_fresh_one_that_counts_the_same_comes_to_the_same():
    followed = Followed()
    followed.spend(every(HOUR, MARCH, MARCH + timedelta(days=2)), EVEN)
    assert followed.pace.counters()
    assert followed.pace.fresh().counters() == {}
