"""Budgets: when exactly a threshold is reached, in which month, and what takes it back."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.alerts import Alert
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from tests.support.ledger_rows import accepted_entry, journal_row

PICO = Decimal("0.000000000001")
NOW = datetime(2026, 3, 10, 13, tzinfo=UTC)


def budgets(
    limit: str = "10", *thresholds: int, zone: str = "UTC", team: str = "search"
) -> Budgets:
    budget = {
        "name": "b",
        "where": {"team": team},
        "limit": limit,
        "thresholds": list(thresholds or (50, 80, 100)),
    }
    return Budgets(BudgetBook.model_validate({"timezone": zone, "budgets": [budget]}))


def after(concern: Budgets, position: int, *rows: dict[str, Any]) -> list[Alert]:
    entry = accepted_entry(position, *rows)
    concern.apply(entry)
    return list(concern.alerts(entry.at, NOW))


def spend(cost: Decimal | str | None, **changes: Any) -> dict[str, Any]:
    return journal_row(cost=None if cost is None else Decimal(cost), **changes)


def opened(alerts: list[Alert]) -> list[int]:
    return [int(alert.threshold) for alert in alerts if alert.transition == "opened"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("percent", [1, 33, 50, 80, 100, 1000])
def test_a_threshold_is_reached_by_the_last_pico_dollar(percent):
    concern = budgets("10", percent)
    limit = Decimal(10) * percent / 100
    assert opened(after(concern, 0, spend(limit - PICO))) == []
    assert opened(after(concern, 1, spend(PICO))) == [percent]


def test_a_limit_with_twelve_decimals_is_exact():
    concern = budgets("0.000000000003", 50, 100)
    assert opened(after(concern, 0, spend(PICO))) == []
    assert opened(after(concern, 1, spend(PICO))) == [50]
    assert opened(after(concern, 2, spend(PICO))) == [50, 100]


def test_one_entry_may_reach_several_thresholds():
    assert opened(after(budgets(), 0, spend("9"))) == [50, 80]


def test_a_void_takes_a_threshold_back():
    concern = budgets()
    assert opened(after(concern, 0, spend("10"))) == [50, 80, 100]
    alerts = after(concern, 1, spend("-2.5", calls=-1, kind="void"))
    assert [(alert.threshold, alert.transition) for alert in alerts] == [
        ("50", "opened"),
        ("80", "resolved"),
        ("100", "resolved"),
    ]
    resolved = alerts[1]
    assert (resolved.severity, resolved.value) == ("info", Decimal("7.5"))
    assert "back under 80 %" in resolved.title


def test_teams_do_not_pay_for_each_other():
    concern = budgets()
    assert opened(after(concern, 0, spend("100", team="support"), spend("4"))) == []


def test_a_cost_that_is_not_known_adds_nothing():
    concern = budgets()
    assert opened(after(concern, 0, spend(None, rating="unpriced"))) == []
    assert [spent.used for spent in concern.current(NOW)] == [0]


def test_nothing_is_said_twice_about_what_did_not_change():
    concern = budgets()
    entry = accepted_entry(0, spend("10"))
    concern.apply(entry)
    assert len(list(concern.alerts(entry.at, NOW))) == 3
    assert list(concern.alerts(entry.at, NOW)) == []


def test_an_alert_says_what_a_reader_needs():
    concern = budgets()
    alerts = after(
        concern,
        7,
        spend("1", application="a"),
        spend("4", application="b", calls=9),
        spend("2", application=None),
        spend("3", application="c"),
    )
    alert = alerts[0]
    assert (alert.rule, alert.scope, alert.period) == (
        "budget",
        {"team": "search", "budget": "b"},
        "2026-03",
    )
    assert (alert.value, alert.limit, alert.position) == (Decimal(10), Decimal(10), 7)
    assert alert.title == "Team search has used 100.0 % of its 2026-03 budget"
    assert alert.since == at("2026-03-01T00:00:00Z")
    assert [(part.name, part.cost, part.calls) for part in alert.contributors] == [
        ("b", Decimal(4), 9),
        ("c", Decimal(3), 1),
        ("(no application)", Decimal(2), 1),
    ]
    assert [alert.severity for alert in alerts] == ["info", "warning", "critical"]


@pytest.mark.parametrize(
    ("cost", "shown"), [("2.999999999999", "99.9"), ("3", "100.0"), ("1", "33.3")]
)
def test_the_percentage_is_rounded_down_so_that_100_means_reached(cost, shown):
    concern = budgets("3")
    after(concern, 0, spend(cost))
    assert [f"{spent.percent}" for spent in concern.current(NOW)] == [shown]


# The last minute of one month and the first of the next, in zones with and without summer time.
BOUNDARIES = [
    ("UTC", "2026-03", "2026-03-31T23:59:00Z", "2026-04-01T00:00:00Z"),
    ("Asia/Hong_Kong", "2026-02", "2026-02-28T15:59:00Z", "2026-02-28T16:00:00Z"),
    ("Asia/Kathmandu", "2026-02", "2026-02-28T18:14:00Z", "2026-02-28T18:15:00Z"),
    ("America/New_York", "2026-02", "2026-03-01T04:59:00Z", "2026-03-01T05:00:00Z"),
    ("America/New_York", "2026-03", "2026-04-01T03:59:00Z", "2026-04-01T04:00:00Z"),
    ("America/New_York", "2026-10", "2026-11-01T03:59:00Z", "2026-11-01T04:00:00Z"),
    ("America/New_York", "2026-11", "2026-12-01T04:59:00Z", "2026-12-01T05:00:00Z"),
    ("Europe/Berlin", "2026-03", "2026-03-31T21:59:00Z", "2026-03-31T22:00:00Z"),
    ("Europe/Berlin", "2026-12", "2026-12-31T22:59:00Z", "2026-12-31T23:00:00Z"),
]


@pytest.mark.parametrize(("zone", "month", "last", "first"), BOUNDARIES)
def test_a_month_ends_at_midnight_of_its_zone(zone, month, last, first):
    concern = budgets("10", 50, zone=zone)
    alerts = after(concern, 0, spend("6", minute=at(last)), spend("7", minute=at(first)))
    before, after_it = alerts
    assert (before.period, before.value) == (month, Decimal(6))
    assert after_it.value == Decimal(7)
    assert after_it.period > month
    assert after_it.since == at(first) == before.until


def test_a_fresh_one_has_the_same_budgets_and_no_counts():
    concern = budgets()
    after(concern, 0, spend("10"))
    fresh = concern.fresh()
    assert fresh.book == concern.book
    assert fresh.counters() == {}
