"""The budgets' law: which thresholds were crossed is a matter of the spend, not of how it came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Alert
from streams.alerts.desk import AlertDesk
from streams.alerts.history import FOLLOWS
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.guard.concern import AsOf
from tests.support.ledger_rows import JOURNAL, accepted_entry, journal_row

BOOK = BudgetBook.model_validate(
    {
        "timezone": "America/New_York",
        "exchange_rates": {"HKD": {"2026-01-01": "7.8", "2026-03-01": "7.9"}},
        "budgets": [
            {"name": "a", "where": {"team": "a"}, "limit": "10", "thresholds": [1, 50, 100]},
            {
                "name": "b",
                "where": {"team": "b"},
                "limit": "0.000000000007",
                "thresholds": [10, 100, 1000],
            },
            {"name": "each", "each": ["team", "application"], "limit": "20", "unit": "HKD"},
            {"name": "all", "limit": "9", "unit": "calls", "period": "year"},
        ],
    }
)
MONTHS_END = datetime(2026, 3, 1, 4, 58, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
PICO = Decimal("0.000000000001")

Row = dict[str, Any]


@st.composite
def rows(draw: st.DrawFn, *, least: int) -> Row:
    amount = draw(st.integers(least, 12) | st.integers(least, 6).map(lambda n: n * 10**12))
    return journal_row(
        team=draw(st.sampled_from("abc")),
        application=draw(st.sampled_from(["x", "y", None])),
        minute=MONTHS_END + timedelta(minutes=draw(st.integers(0, 3))),
        cost=draw(st.sampled_from([amount * PICO, amount * PICO, None])),
    )


async def history(
    parts: Sequence[Sequence[Row]], restarts: set[int]
) -> tuple[list[Alert], Budgets]:
    """What is published when these entries come, with a restart before some of them."""
    published: list[Alert] = []

    async def publish(alert: Alert) -> None:
        published.append(alert)

    async def report(desk: AlertDesk, concern: Budgets, position: int) -> None:
        seen = len(published)
        await desk.hand_in(concern.alerts(AsOf(JOURNAL, position), NOW))
        for alert in published[seen:]:
            assert await desk.hear(alert)

    desk, concern, applied = AlertDesk(publish), Budgets(BOOK), []
    for position, part in enumerate(parts):
        if position in restarts and applied:
            # What a restart loads is one sum over all that was applied.
            desk, concern = AlertDesk(publish), concern.fresh()
            desk.remember(published)
            concern.apply(accepted_entry(position - 1, *applied))
            await report(desk, concern, position - 1)
        concern.apply(accepted_entry(position, *part))
        applied += part
        await report(desk, concern, position)
    return published, concern


@st.composite
def cut(draw: st.DrawFn, given_rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in another order, cut into entries, empty ones among them."""
    shuffled = draw(st.permutations(given_rows))
    bounds = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=8)))
    edges = [0, *bounds, len(shuffled)]
    return [list(shuffled[a:b]) for a, b in pairwise(edges)]


restart_points = st.sets(st.integers(0, 9))


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.lists(rows(least=0), max_size=12).flatmap(lambda r: st.tuples(cut(r), cut(r))), st.data())
async def test_order_partition_and_restarts_change_no_transition(cuts, data):
    outcomes = []
    for parts in cuts:
        published, concern = await history(parts, data.draw(restart_points))
        ids = [alert.transition_id for alert in published]
        assert len(set(ids)) == len(ids)
        outcomes.append((set(ids), concern.counters()))
    assert outcomes[0] == outcomes[1]


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.lists(rows(least=-6), max_size=12).flatmap(cut), restart_points)
async def test_with_voids_too_what_is_told_at_the_end_is_what_holds(parts, restarts):
    published, concern = await history(parts, restarts)
    told: dict[str, Alert] = {}
    for alert in published:
        before = told.get(alert.alert_id)
        assert alert.number == (1 if before is None else before.number + 1)
        assert alert.transition in FOLLOWS[None if before is None else before.transition]
        told[alert.alert_id] = alert

    fresh = concern.fresh()
    fresh.apply(accepted_entry(99, *(row for part in parts for row in part)))
    assert fresh.counters() == concern.counters()
    states = fresh.alerts(AsOf(JOURNAL, 99), NOW)
    holding = {state.alert_id for state in states if state.transition == "opened"}
    assert {name for name, last in told.items() if last.transition != "resolved"} == holding
