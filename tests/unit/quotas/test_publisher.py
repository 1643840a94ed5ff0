"""What the active guard publishes about budgets, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.quotas import BudgetDefinition, MemberState, Record, Stamp
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.guard.concern import AsOf
from streams.quotas.publisher import QuotaPublisher
from streams.quotas.table import QuotaTable
from tests.support.ledger_rows import JOURNAL, accepted_entry, journal_row

START = datetime(2026, 3, 10, 12, 0, 30, tzinfo=UTC)
USERS = {
    "name": "users",
    "each": "user",
    "limit": "10",
    "actions": [
        {"at": 80, "do": "degrade", "to": "balanced"},
        {"at": 90, "do": "degrade", "to": "cost-optimised"},
        {"at": 100, "do": "refuse"},
    ],
}
TEAMS = {"name": "teams", "each": "team", "limit": "10"}
ANN, SEARCH = 'member:users:{"user":"ann"}', 'member:teams:{"team":"search"}'


class World:
    """A guard that publishes to a list; ``table`` is what it has read of the topic."""

    def __init__(self, *budgets: dict[str, Any], table: QuotaTable | None = None) -> None:
        self.table = QuotaTable() if table is None else table
        self.table.ready = True
        self.sent: list[tuple[str, Record | None, Stamp]] = []
        self.publisher = QuotaPublisher(self.table, lambda *one: self.sent.append(one))
        self.position = 0
        self.rows: list[dict[str, Any]] = []
        self.now = START
        self.reload(*budgets)

    def reload(self, *budgets: dict[str, Any]) -> None:
        """Other budgets, which count all that was spent."""
        rates = {"HKD": {"2026-03-09": "7.8"}}
        book = {"exchange_rates": rates, "budgets": list(budgets)}
        self.budgets = Budgets(BudgetBook.model_validate(book))
        self.budgets.apply(accepted_entry(self.position, *self.rows))

    def spend(self, cost: int | str, seconds: float = 0, **changes: Any) -> None:
        """One entry more, so many seconds later; and what follows from it."""
        self.position += 1
        row = {"team": "search", "user": "ann", "minute": START.replace(second=0), **changes}
        self.rows.append(journal_row(cost=Decimal(cost), **row))
        self.budgets.apply(accepted_entry(self.position, self.rows[-1]))
        self.wait(seconds)

    def wait(self, seconds: float = 0) -> None:
        self.now += timedelta(seconds=seconds)
        self.publisher.follow(self.budgets, AsOf(JOURNAL, self.position), self.now)

    def taken(self) -> list[tuple[str, Record | None]]:
        """What was sent since the last look; it also comes back on the topic."""
        sent, self.sent[:] = list(self.sent), []
        for key, record, stamp in sent:
            assert self.table.take(key, record, stamp)
        return [(key, record) for key, record, _ in sent]

    def states(self) -> dict[str, MemberState | None]:
        taken = dict(self.taken())
        return {key: one for key, one in taken.items() if not isinstance(one, BudgetDefinition)}


def used(states: dict[str, MemberState | None]) -> dict[str, Any]:
    return {key: None if one is None else one.used for key, one in states.items()}


def test_budgets_are_told_when_they_were_loaded_and_once():
    world = World(USERS)
    world.wait()
    ((key, record),) = world.taken()
    assert isinstance(record, BudgetDefinition)
    assert (key, record.budget, record.each, record.limit) == (
        "budget:users",
        "users",
        ("user",),
        10,
    )
    assert [(one.at, one.do, one.to) for one in record.actions][1:] == [
        (90, "degrade", "cost-optimised"),
        (100, "refuse", None),
    ]
    assert (record.period, record.period_end) == ("month", datetime(2026, 4, 1, tzinfo=UTC))
    world.wait(5)
    assert world.taken() == []


def test_nothing_is_published_before_the_topic_was_read():
    world = World(USERS)
    world.table.ready = False
    world.spend(3)
    assert world.taken() == []
    world.table.ready = True
    world.wait()
    assert {key for key, _ in world.taken()} == {"budget:users", ANN}


def test_a_state_says_what_is_used_and_what_follows():
    world = World(USERS)
    world.spend("8.5")
    state = world.states()[ANN]
    assert state is not None
    assert (state.used, state.limit, state.unit) == (Decimal("8.5"), 10, "USD")
    assert (state.allowed, state.degrade_to, state.since) == (True, "balanced", START)
    assert (state.as_of.position, state.as_of.at) == (1, START)
    assert state.valid_until == state.period_end == datetime(2026, 4, 1, tzinfo=UTC)
    assert state.reason == (
        "User ann has used 85.0 % of $10 (budget users); "
        "calls go to balanced models until 2026-04-01 00:00 UTC."
    )


@pytest.mark.parametrize(
    ("cost", "allowed", "tier"),
    [
        ("7.999999999999", True, None),
        ("8", True, "balanced"),
        ("9", True, "cost-optimised"),
        ("9.999999999999", True, "cost-optimised"),
        ("10", False, "cost-optimised"),
    ],
)
def test_the_highest_action_that_is_reached_holds(cost, allowed, tier):
    world = World(USERS)
    world.spend(cost)
    state = world.states()[ANN]
    assert state is not None
    assert (state.allowed, state.degrade_to) == (allowed, tier)


def test_a_verdict_that_changes_is_published_at_once_and_other_figures_once_a_second():
    world = World(USERS)
    world.spend(1)
    assert used(world.states()) == {ANN: 1}
    world.spend(1, 0.2)
    world.spend(1, 0.2)
    assert world.states() == {}
    world.spend(5, 0.2)
    assert used(world.states()) == {ANN: 8}
    world.spend("0.5", 0.2)
    assert world.states() == {}
    world.wait(0.8)
    assert used(world.states()) == {ANN: Decimal("8.5")}
    world.wait(5)
    assert world.states() == {}


def test_a_budget_without_actions_is_published_once_a_second_and_refuses_nothing():
    world = World(TEAMS)
    world.spend(9)
    world.spend(9, 0.5)
    state = world.states()[SEARCH]
    assert state is not None
    assert (state.used, state.allowed, state.degrade_to) == (9, True, None)
    assert state.reason.endswith("(budget teams); the period ends 2026-04-01 00:00 UTC.")
    world.wait(0.5)
    assert used(world.states()) == {SEARCH: 18}


def test_a_clock_that_was_put_back_holds_nothing_up():
    world = World(TEAMS)
    world.spend(1)
    world.states()
    world.spend(1, -3600)
    assert used(world.states()) == {SEARCH: 2}


def test_since_is_when_the_verdict_began():
    world = World(USERS)
    world.spend(8)
    world.spend("0.5", 60)
    state = world.states()[ANN]
    assert state is not None
    assert state.since == START
    world.spend(2, 60)
    state = world.states()[ANN]
    assert state is not None
    assert state.since == START + timedelta(seconds=120)


def test_a_void_that_takes_everything_back_removes_the_state():
    world = World(USERS)
    world.spend(10)
    world.states()
    world.spend(-10, kind="void")
    assert world.states() == {ANN: None}


def test_a_new_period_begins_with_its_bounds_and_without_states():
    world = World(USERS)
    world.spend(10)
    world.taken()
    world.now = datetime(2026, 4, 1, 0, 0, 1, tzinfo=UTC)
    world.wait()
    taken = dict(world.taken())
    assert taken[ANN] is None
    record = taken["budget:users"]
    assert isinstance(record, BudgetDefinition)
    assert record.period_start == datetime(2026, 4, 1, tzinfo=UTC)
    # What comes late counts in the month in which it was.
    world.spend(3, 2)
    assert world.states() == {}
    world.spend(3, 2, minute=datetime(2026, 4, 1, tzinfo=UTC))
    assert used(world.states()) == {ANN: 3}


def test_a_window_that_moves_on_gives_back_what_has_left_it():
    world = World({**USERS, "period": {"rolling": "1h"}})
    world.spend(10)
    state = world.states()[ANN]
    assert state is not None
    assert state.period_end == datetime(2026, 3, 10, 12, 1, tzinfo=UTC)
    assert state.valid_until == datetime(2026, 3, 10, 13, 0, tzinfo=UTC)
    assert state.reason == (
        "User ann has used 100.0 % of $10 within 1 h (budget users); "
        "calls are refused at least until 2026-03-10 12:01 UTC."
    )
    world.spend(2, 40 * 60, minute=datetime(2026, 3, 10, 12, 40, tzinfo=UTC))
    assert used(world.states()) == {ANN: 12}
    world.wait(20 * 60)
    state = world.states()[ANN]
    assert state is not None
    assert (state.used, state.allowed) == (2, True)
    world.wait(40 * 60)
    assert world.states() == {ANN: None}


def test_what_cannot_be_converted_is_told_as_not_known():
    world = World({**USERS, "unit": "HKD"})
    world.spend(1, minute=datetime(2026, 3, 8, tzinfo=UTC))
    state = world.states()[ANN]
    assert state is not None
    assert (state.used, state.allowed) == (None, True)
    assert "no exchange rate to HKD" in state.reason


def test_an_exception_is_in_the_definition_and_in_the_state():
    exceptions = [{"members": {"user": ["ann"]}, "limit": "40"}]
    world = World({**USERS, "exceptions": exceptions})
    world.spend(10)
    taken = dict(world.taken())
    record, state = taken["budget:users"], taken[ANN]
    assert isinstance(record, BudgetDefinition)
    assert record.limit_of({"user": "ann"}) == 40
    assert isinstance(state, MemberState)
    assert (state.limit, state.allowed) == (40, True)


def test_a_changed_limit_is_told_with_what_follows():
    world = World(USERS)
    world.spend(10)
    world.taken()
    world.reload({**USERS, "limit": "20"})
    world.wait(2)
    taken = dict(world.taken())
    state, record = taken[ANN], taken["budget:users"]
    assert isinstance(state, MemberState)
    assert isinstance(record, BudgetDefinition)
    assert (state.limit, state.allowed, record.limit) == (20, True, 20)


def test_a_budget_that_is_removed_goes_with_its_members():
    world = World(USERS, TEAMS)
    world.spend(1)
    world.taken()
    world.reload(TEAMS)
    world.wait(2)
    assert world.taken() == [("budget:users", None), (ANN, None)]


def test_a_budget_for_other_members_drops_those_it_had():
    world = World(USERS)
    world.spend(1)
    world.taken()
    world.reload({**USERS, "each": "team"})
    world.wait(2)
    assert used(world.states()) == {ANN: None, 'member:users:{"team":"search"}': 1}


def test_a_guard_that_starts_says_only_what_is_new():
    first = World(USERS, TEAMS)
    first.spend(1)
    first.taken()
    second = World(USERS, TEAMS, table=first.table)
    second.spend(1, 10)
    assert second.taken() == []


def test_a_guard_that_is_behind_waits_until_it_is_as_far_as_what_was_told():
    first = World(USERS)
    first.spend(8)
    first.spend(2)
    assert used(first.states()) == {ANN: 10}
    second = World({**USERS, "limit": "20"}, table=first.table)
    second.spend(8, 10)
    assert second.states() == {}
    second.spend(2)
    assert used(second.states()) == {ANN: 10}


def test_a_name_with_any_letters_is_a_key_of_its_own():
    world = World({**USERS, "name": "a:b", "each": ["user", "team"]})
    world.spend(1, user='x","y', team="日本")
    assert used(world.states()) == {'member:a:b:{"user":"x\\",\\"y","team":"日本"}': 1}
