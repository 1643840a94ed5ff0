"""The quotas' law: what is known is a matter of what was published, not of how it came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.quotas import Record, Stamp
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.guard.concern import AsOf
from streams.quotas.publisher import QuotaPublisher
from streams.quotas.table import QuotaTable
from tests.support.ledger_rows import JOURNAL, accepted_entry, journal_row
from tests.support.quotas import definition, stamp, state

BOOK = BudgetBook.model_validate(
    {
        "budgets": [
            {
                "name": "users",
                "each": "user",
                "limit": "5",
                "actions": [{"at": 80, "do": "refuse"}],
            },
            {"name": "all", "limit": "9"},
        ]
    }
)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)

Sent = tuple[str, Record | None, Stamp]


@st.composite
def sent(draw: st.DrawFn) -> Sent:
    """A record whose figures follow from its stamp, as they do from the ledger; or its removal."""
    position, seconds = draw(st.integers(0, 5)), draw(st.integers(0, 3))
    as_of = stamp(position, seconds)
    if draw(st.booleans()):
        return "budget:users", definition(limit=1 + position, as_of=as_of), as_of
    one = state(used=position * 10 + seconds, as_of=as_of)
    # Every fifth state of the ledger is that nothing is used.
    return one.key, None if (position + seconds) % 5 == 0 else one, as_of


def known(order: list[Sent]) -> tuple[object, ...]:
    table = QuotaTable()
    for one in order:
        table.take(*one)
    return table.definitions, table.members


@settings(deadline=None)
@given(st.lists(sent(), max_size=20), st.data())
def test_any_order_with_repeats_gives_the_same_table(records, data):
    shuffled = data.draw(st.permutations(records))
    repeated = shuffled + data.draw(
        st.lists(st.sampled_from(records), max_size=5) if records else st.just([])
    )
    assert known(repeated) == known(records)


Step = tuple[str, int, int, bool]
"""User, dollars, milliseconds until then, and whether another guard begins there."""
steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(-3, 5), st.integers(0, 1500), st.booleans()),
    max_size=15,
)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(steps, st.data())
def test_after_a_second_of_quiet_everybody_knows_what_the_ledger_says(steps, data):
    topic: list[Sent] = []
    table = QuotaTable()
    table.ready = True

    def put(key: str, record: Record | None, as_of: Stamp) -> None:
        topic.append((key, record, as_of))
        assert table.take(key, record, as_of)

    budgets, publisher, now = Budgets(BOOK), QuotaPublisher(table, put), NOON
    rows = []
    for position, (user, dollars, milliseconds, another) in enumerate(steps):
        now += timedelta(milliseconds=milliseconds)
        row = journal_row(user=user, cost=Decimal(dollars), minute=NOON)
        if another:
            budgets, publisher = Budgets(BOOK), QuotaPublisher(table, put)
            budgets.apply(accepted_entry(position - 1, *rows))
        rows.append(row)
        budgets.apply(accepted_entry(position, row))
        publisher.follow(budgets, AsOf(JOURNAL, position), now)
    publisher.follow(budgets, AsOf(JOURNAL, len(steps)), now + timedelta(seconds=1))

    wanted: dict[str, int] = {"all": 0}
    for user, dollars, *_ in steps:
        wanted[user] = wanted.get(user, 0) + dollars
        wanted["all"] += dollars
    reader = QuotaTable()
    for one in data.draw(st.permutations(topic)):
        reader.take(*one)
    states = {one.member.get("user", "all"): one for one in reader.members.values()}
    assert {name: one.used for name, one in states.items()} == {
        n: c for n, c in wanted.items() if c
    }
    assert {n for n, one in states.items() if not one.allowed} == {
        name for name, cost in wanted.items() if name != "all" and cost >= 4
    }
    assert {one.budget for one in reader.definitions.values()} == {"users", "all"}
