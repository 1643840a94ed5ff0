"""The simulator against the guard's own way: entry by entry, through the desk."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from schemas.alerts import Alert
from streams.alerts.desk import AlertDesk
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.budgets.pace import Pace
from streams.detectors.attempts import Scope, Tally, unix_minute
from streams.detectors.repeats import Repeats
from streams.detectors.storms import Storms
from streams.guard.concern import Concern
from streams.simulation.simulator import Simulator
from tests.support.ledger_rows import accepted_entry, journal_row, journal_rows
from tests.support.storm_watch import RULE, failed, good, minute, told

CALM = {"burn_rate": False, "forecast": False}
BOOK = BudgetBook.model_validate(
    {
        "timezone": "America/New_York",
        "exchange_rates": {"HKD": {"2026-01-01": "7.8"}},
        "budgets": [
            {"name": "users", "each": "user", "limit": "40", "period": "day", **CALM},
            {"name": "all", "limit": "900", "unit": "HKD", "thresholds": [40, 60, 100], **CALM},
        ],
    }
)
WINDOW = BudgetBook.model_validate(
    {"budgets": [{"name": "window", "limit": "10", "period": {"rolling": "1h"}}]}
)

Row = dict[str, Any]


def concerns(book: BudgetBook = BOOK) -> list[Concern]:
    budgets = Budgets(book)
    return [budgets, Pace(budgets), Storms(RULE)]


def table(rows: Iterable[Row]) -> pl.DataFrame:
    return pl.DataFrame(journal_rows(*sorted(rows, key=lambda row: row["minute"])))


def simulated(*rows: Row, until: int = 0, book: BudgetBook = BOOK) -> list[Alert]:
    """The transitions of these rows, and of the minutes up to ``until`` after noon."""
    simulator = Simulator(concerns(book))
    found = [*simulator.feed(table(rows))] if rows else []
    return [*found, *simulator.pass_time(minute(until))]


def spend(at: int, cost: int | str, **changes: Any) -> Row:
    return journal_row(minute=minute(at), cost=Decimal(cost), **{"user": "ann"} | changes)


def some_days(step: int, voids: bool) -> list[Row]:
    """Three days of spend of three people, with minutes that are ``step`` apart at least."""
    choose = random.Random(3)
    rows = []
    for _ in range(150):
        void = voids and choose.random() < 0.2
        at = choose.randrange(3 * 24 * 60 // step) * step
        cost = choose.randrange(-9, 0) if void else choose.randrange(1, 9)
        rows.append(spend(at, cost, user=choose.choice("abc"), calls=-1 if void else 1))
    return rows


def by_minute(rows: Iterable[Row]) -> list[tuple[datetime, list[Row]]]:
    found: dict[datetime, list[Row]] = {}
    for row in rows:
        found.setdefault(row["minute"], []).append(row)
    return sorted(found.items())


async def guarded(rows: Iterable[Row]) -> list[Alert]:
    """What a guard publishes where each minute is an entry."""
    published: list[Alert] = []

    async def publish(alert: Alert) -> None:
        published.append(alert)

    desk, budgets = AlertDesk(publish), Budgets(BOOK)
    for position, (now, part) in enumerate(by_minute(rows)):
        entry = accepted_entry(position, *part)
        budgets.apply(entry)
        seen = len(published)
        await desk.hand_in(budgets.alerts(entry.at, now))
        for alert in published[seen:]:
            assert await desk.hear(alert)
    return published


def of_budgets(alerts: Iterable[Alert]) -> list[tuple[str, str, Decimal | None]]:
    return [(a.transition_id, a.transition, a.value) for a in alerts if a.rule == "budget"]


async def test_budgets_say_what_the_guard_says():
    rows = some_days(step=5, voids=True)
    said = of_budgets(simulated(*rows))
    assert {transition for _, transition, _ in said} >= {"opened", "resolved", "restated"}
    assert said == of_budgets(await guarded(rows))


async def test_minutes_that_are_judged_together_open_the_same_alerts():
    rows = some_days(step=1, voids=False)
    said = {name for name, _, _ in of_budgets(simulated(*rows))}
    assert len(said) > 10
    assert said == {name for name, _, _ in of_budgets(await guarded(rows))}


def test_the_order_within_a_minute_does_not_matter():
    rows = some_days(step=30, voids=True)
    again = list(reversed(rows))
    assert of_budgets(simulated(*rows)) == of_budgets(simulated(*again))


def test_it_does_not_matter_how_rows_are_handed_in():
    rows = table(some_days(step=7, voids=True))
    at_once = list(Simulator(concerns()).feed(rows))
    simulator = Simulator(concerns())
    day = pl.col("minute").dt.date().alias("day")
    days = rows.with_columns(day).partition_by("day", include_key=False)
    in_parts = [alert for day in days for alert in simulator.feed(day)]
    assert len(days) > 2
    assert [(a.transition_id, a.at) for a in in_parts] == [(a.transition_id, a.at) for a in at_once]


def test_an_alert_is_dated_by_the_minute_that_was_judged():
    (alert,) = simulated(spend(2, 30, user="bob", team="x"), spend(3, 3), spend(4, 1))
    assert (alert.title, alert.at) == (
        "User bob has used 75.0 % of its 2026-03-10 budget",
        minute(4),
    )


def test_what_was_before_counts_too():
    simulator = Simulator(concerns())
    simulator.warm_up(table([spend(-60, 15), spend(-30, 10)]))
    assert [a.threshold for a in simulator.feed(table([spend(0, 1)]))] == ["50"]
    assert [a.threshold for a in simulator.feed(table([spend(10, 10)]))] == ["80"]


def test_a_rolling_window_empties_while_nothing_comes():
    alerts = simulated(spend(0, 9), until=200, book=WINDOW)
    assert [(a.threshold, a.transition) for a in alerts] == [
        ("50", "opened"),
        ("80", "opened"),
        ("50", "resolved"),
        ("80", "resolved"),
    ]
    assert alerts[-1].at == minute(60)


def test_a_storm_ends_by_the_minute_and_the_next_one_is_another():
    storm = [failed(30, at) for at in range(4)]
    later = [failed(30, at) for at in range(60, 64)]
    alerts = simulated(*storm, *later, until=90)
    assert told(alerts) == [("retry_storm", "opened"), ("retry_storm", "resolved")] * 2
    first, over, second, _ = alerts
    assert (first.since, second.since) == (minute(0), minute(60))
    assert over.at == minute(5)


def test_time_stands_still_where_nothing_can_come_of_it():
    judged: list[datetime] = []
    simulator = Simulator(concerns(), judged.append)
    list(simulator.feed(table([spend(0, 1), spend(60 * 24 * 20, 1)])))
    list(simulator.pass_time(minute(60 * 24 * 40)))
    assert len(judged) < 60
    assert judged == sorted(judged)


def test_repeated_prompts_are_observed_at_their_minute():
    asked = minute(3)
    tally = Tally(40, None, None)
    seen = Repeats(Scope("search", "bot"), 41, {unix_minute(asked): tally}, "h", 41, "own", "unit")
    simulator = Simulator(concerns())
    alerts = list(simulator.feed(table([good(1, at) for at in range(9)]), {asked: [seen]}))
    assert told(alerts)[0] == ("retry_storm", "opened")
    assert alerts[0].at == asked
