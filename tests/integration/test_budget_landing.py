"""Budgets against actuals in SQL: what the guard lands equals the ledger, to the last digit."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.journal import Counted
from sinks.clickhouse import ClickHouse, ClickHouseUnavailable
from sinks.ledger import Ledger
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.budgets.pace import Pace
from streams.guard.budget_landing import BudgetLanding
from streams.guard.clock import EventClock
from streams.guard.concern import AsOf
from streams.guard.state import Follower
from streams.journal.fence import Fence
from tests.support.ledger_rows import JOURNAL, accepted_entry, covering, journal_row, journal_rows

pytestmark = pytest.mark.slow

TURN = datetime(2026, 10, 31, 16, tzinfo=UTC)
"""November begins in Hong Kong; it has begun in no other zone of the tests."""
BOOK = {
    "timezone": "Asia/Hong_Kong",
    "exchange_rates": {"HKD": {"2026-01-01": "7.8", "2026-11-02": "7.812345678901"}},
    "budgets": [
        {"name": "all", "limit": "1000", "unit": "HKD"},
        {"name": "each", "each": ["team", "user"], "limit": "20"},
        {"name": "two", "where": {"team": ["search", "support"]}, "limit": "9", "unit": "tokens"},
        {"name": "rolling", "each": "team", "limit": "9", "period": {"rolling": "12h"}},
        {"name": "days", "each": "team", "limit": "5", "unit": "calls", "period": "day"},
    ],
}
LEDGER = """
    SELECT sum(s.cost * r.units_per_usd) AS used, sum(s.cost) AS used_usd
    FROM spend AS s, exchange_rates AS r
    WHERE r.currency = {unit:String} AND s.minute >= r.valid_from
      AND (r.valid_until IS NULL OR s.minute < r.valid_until)
      AND s.minute >= {start:DateTime('UTC')} AND s.minute < {end:DateTime('UTC')}
      AND s.position <= {position:Int64}
"""


class World:
    """A ledger and a guard's follower behind it."""

    def __init__(self, clickhouse: ClickHouse, book: dict[str, Any] = BOOK) -> None:
        self.clickhouse = clickhouse
        self.ledger = Ledger(clickhouse, JOURNAL)
        self.landing = BudgetLanding(clickhouse, Path("/etc/budgets.yaml"))
        self.position = -1
        self.clock = EventClock(TURN)
        self.load(book)

    def load(self, book: dict[str, Any]) -> None:
        budgets = Budgets(BudgetBook.model_validate(book))
        concerns = (budgets, Pace(budgets))
        at = AsOf(JOURNAL, self.position)
        for concern in concerns:
            concern.load(self.clickhouse, at, self.clock.now())
        self.follower = Follower(concerns, Fence(), at, self.clock)

    def spend(self, *rows: dict[str, Any]) -> None:
        self.position += 1
        ranges = (covering(self.position, self.position),)
        counted = Counted(ranges, None, journal_rows(*rows))
        self.ledger.write(self.position, ranges, counted, datetime.now(UTC))
        entry = accepted_entry(self.position, *rows)
        self.clock.see(entry.rows)
        self.follower.at = AsOf(JOURNAL, self.position)
        for concern in self.follower.concerns:
            concern.apply(entry)

    async def land(self) -> None:
        self.landing._due = 0.0
        await self.landing.land(self.follower)

    def view(self, columns: str, where: str = "1") -> list[tuple[Any, ...]]:
        return self.clickhouse.query(
            f"SELECT {columns} FROM budgets_against_actuals WHERE {where} "
            "ORDER BY budget, period, toString(scope)"
        )


def any_row(dice: random.Random) -> dict[str, Any]:
    return journal_row(
        minute=TURN + timedelta(minutes=dice.randrange(-3000, 3000)),
        team=dice.choice(("search", "support")),
        user=dice.choice((None, "ada", "bob")),
        cost=dice.choice((1, 1, -1)) * Decimal(dice.randrange(10**15)).scaleb(-12),
        input_tokens=dice.randrange(1000),
    )


@pytest.mark.parametrize("seed", range(3))
async def test_used_is_the_ledgers_sum_to_the_last_digit(clickhouse, seed):
    dice = random.Random(seed)
    world = World(clickhouse)
    for step in range(6):
        world.spend(*(any_row(dice) for _ in range(40)))
        if step % 2:
            await world.land()
    rows = world.view(
        "budget, scope, unit, used, used_usd, toUnixTimestamp(period_start), "
        "toUnixTimestamp(period_end), position",
        "unit IN ('USD', 'HKD')",
    )
    assert {row[0] for row in rows} == {"all", "each", "rolling"}
    for budget, scope, unit, used, used_usd, start, end, position in rows:
        where = "".join(f" AND s.`{name}` = '{value}'" for name, value in scope.items())
        bound = {"unit": unit, "start": start, "end": end, "position": position}
        ((expected, expected_usd),) = clickhouse.query(LEDGER + where, bound)
        assert (budget, scope, used, used_usd) == (budget, scope, expected, expected_usd)
    selects = "mapContains(selects, 'team')"
    ((tokens, chosen),) = world.view("used, selects['team']", f"budget = 'two' AND {selects}")[-1:]
    assert list(chosen) == ["search", "support"]
    ((counted,),) = clickhouse.query(
        "SELECT sum(input_tokens) FROM spend WHERE minute >= {turn:DateTime('UTC')}",
        {"turn": TURN},
    )
    assert tokens == counted


async def test_late_spend_restates_a_period_that_is_over(clickhouse):
    world = World(clickhouse)
    world.spend(journal_row(minute=TURN - timedelta(hours=1)))
    world.spend(journal_row(minute=TURN + timedelta(hours=1)))
    await world.land()
    wanted = "budget = 'all'"
    columns = "period, used_usd, position, forecast IS NULL"
    assert world.view(columns, wanted) == [("2026-10", 1, 1, True), ("2026-11", 1, 1, False)]
    world.spend(journal_row(minute=TURN - timedelta(hours=2)))
    await world.land()
    assert world.view(columns, wanted) == [("2026-10", 2, 2, True), ("2026-11", 1, 1, False)]


async def test_a_period_that_ends_is_written_once_more_without_a_forecast(clickhouse):
    world = World(clickhouse)
    for hours in (100, 50, 2):
        world.spend(journal_row(minute=TURN - timedelta(hours=hours)))
    world.clock = world.follower.clock = EventClock(TURN - timedelta(hours=2))
    await world.land()
    ((before,),) = world.view("forecast", "budget = 'all'")
    assert before > 3
    world.clock = world.follower.clock = EventClock(TURN + timedelta(hours=1))
    await world.land()
    columns = "period, used_usd, forecast IS NULL"
    assert world.view(columns, "budget = 'all'") == [("2026-10", 3, True), ("2026-11", 0, False)]


async def test_a_window_that_has_moved_on_is_written_although_nobody_spends(clickhouse):
    world = World(clickhouse)
    world.spend(journal_row(minute=TURN - timedelta(hours=1)))
    world.follower.clock = EventClock(TURN)
    await world.land()
    assert world.view("used", "budget = 'rolling'") == [(1,)]
    world.follower.clock = EventClock(TURN + timedelta(hours=13))
    await world.land()
    assert world.view("used", "budget = 'rolling'") == [(0,)]


async def test_only_what_has_changed_is_written_again(clickhouse):
    world = World(clickhouse)
    world.spend(journal_row(user="ada"), journal_row(user="bob"))
    await world.land()
    ((all_rows,),) = clickhouse.query("SELECT count() FROM budget_standings")
    await world.land()
    assert clickhouse.query("SELECT count() FROM budget_standings") == [(all_rows,)]
    world.spend(journal_row(user="ada"))
    await world.land()
    rows = clickhouse.query(
        "SELECT member, position FROM budget_standings WHERE budget = 'each' ORDER BY ALL"
    )
    assert [(list(member), position) for member, position in rows] == [
        (["search", "ada"], 0),
        (["search", "ada"], 1),
        (["search", "bob"], 0),
    ]


async def test_a_write_that_fails_is_made_later_and_holds_nothing_up(clickhouse, monkeypatch):
    world = World(clickhouse)
    world.spend(journal_row())

    def away(*_: Any, **__: Any) -> None:
        raise ClickHouseUnavailable("ClickHouse is away")

    with monkeypatch.context() as patched:
        patched.setattr(clickhouse, "insert", away)
        await world.land()
    assert world.view("budget") == []
    world.spend(journal_row(minute=TURN))
    await world.land()
    assert world.view("used_usd", "budget = 'all' AND period = '2026-11'") == [(1,)]
    assert world.view("used_usd", "budget = 'each'") == []
    assert world.view("used", "budget = 'days' AND period = '2026-11-01'") == [(1,)]


async def test_a_budget_that_leaves_the_file_leaves_the_view_and_comes_back_with_it(clickhouse):
    world = World(clickhouse)
    world.spend(journal_row(minute=TURN + timedelta(hours=1), user="ada"))
    await world.land()
    assert {name for (name,) in world.view("budget")} == {b["name"] for b in BOOK["budgets"]}
    fewer = BOOK | {"budgets": [BOOK["budgets"][0] | {"limit": "2000"}]}
    world.load(fewer)
    await world.land()
    assert world.view("budget, `limit`") == [("all", 2000)]
    world.load(BOOK)
    await world.land()
    assert {name for (name,) in world.view("budget")} == {b["name"] for b in BOOK["budgets"]}


async def test_while_nothing_was_spent_there_are_rates_and_no_period(clickhouse):
    world = World(clickhouse)
    world.follower.clock = EventClock(datetime(1970, 1, 1, tzinfo=UTC))
    await world.land()
    assert world.view("budget") == []
    assert clickhouse.query("SELECT count() FROM exchange_rates") == [(3,)]
    world.follower.clock = world.clock
    world.spend(journal_row(minute=TURN + timedelta(hours=1)))
    await world.land()
    assert world.view("used_usd", "budget = 'all'") == [(1,)]


async def test_a_missing_exchange_rate_leaves_used_unknown(clickhouse):
    book = BOOK | {"exchange_rates": {"HKD": {"2027-01-01": "7.8"}}}
    world = World(clickhouse, book)
    world.spend(journal_row(minute=TURN + timedelta(hours=1)))
    await world.land()
    assert world.view("used, used_usd, share, forecast", "budget = 'all'") == [
        (None, 1, None, None)
    ]


async def test_the_newest_set_of_exchange_rates_is_what_holds(clickhouse):
    world = World(clickhouse)
    await world.land()
    query = (
        "SELECT currency, toString(valid_from), toString(valid_until), units_per_usd, source "
        "FROM exchange_rates ORDER BY currency, valid_from"
    )
    usd = ("USD", "1970-01-01 00:00:00", None, 1, "budgets.yaml")
    first = ("HKD", "2025-12-31 16:00:00", "2026-11-01 16:00:00", Decimal("7.8"), "budgets.yaml")
    second = ("HKD", "2026-11-01 16:00:00", None, Decimal("7.812345678901"), "budgets.yaml")
    assert clickhouse.query(query) == [first, second, usd]
    daily = (
        "SELECT toString(day), rate FROM daily_exchange_rates WHERE currency = 'HKD' "
        "AND day BETWEEN '2026-10-31' AND '2026-11-03' ORDER BY day"
    )
    assert clickhouse.query(daily) == [
        ("2026-10-31", Decimal("7.8")),
        ("2026-11-01", Decimal("7.8")),
        ("2026-11-02", Decimal("7.812345678901")),
        ("2026-11-03", Decimal("7.812345678901")),
    ]
    days = "SELECT min(day), max(day) = today(), count() = uniq(day) FROM daily_exchange_rates "
    assert clickhouse.query(days + "WHERE currency = 'HKD'") == [(date(2026, 1, 1), True, True)]
    assert clickhouse.query(days + "WHERE currency = 'USD'") == [(date(2020, 1, 1), True, True)]
    world.load({"budgets": []})
    await world.land()
    assert clickhouse.query(query) == [usd]
