"""Decisions in memory are the server's: which budgets apply, whose word counts, and why."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spendstream.quota._amounts import limit_text
from spendstream.quota._decide import TIERS, Decision, decide
from spendstream.quota._table import QuotaTable

from schemas.quotas import BudgetDefinition, MemberState
from sinks import amounts
from streams.budgets import fields
from streams.quotas import decide as server
from tests.support.quotas import MONTH, NOW, definition, state

UNITS = ("USD", "JPY", "CHF", "tokens")
NAMES = st.sampled_from(["a", "b", 'x","y', "日本"])
DIMENSIONS = ("team", "user", "use_case")
AMOUNTS = st.decimals("0.000000000001", "999999999999999", places=12) | st.integers(1, 300).map(
    Decimal
)
TIMES = st.sampled_from([MONTH[0], NOW, NOW + timedelta(seconds=1), MONTH[1]])


@st.composite
def budgets(draw: st.DrawFn, name: str) -> BudgetDefinition:
    each = tuple(draw(st.lists(st.sampled_from(DIMENSIONS), unique=True, max_size=2)))
    names = st.lists(NAMES, unique=True, min_size=1, max_size=2).map(tuple)
    return definition(
        name,
        each=each,
        where=draw(st.dictionaries(st.sampled_from(DIMENSIONS), names, max_size=1)),
        limit=draw(AMOUNTS),
        unit=draw(st.sampled_from(UNITS)),
        exceptions=[
            {"members": members, "limit": draw(AMOUNTS)}
            for members in draw(
                st.lists(st.dictionaries(st.sampled_from(each), names, min_size=1), max_size=2)
                if each
                else st.just([])
            )
        ],
        period_end=draw(st.none() | TIMES),
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[BudgetDefinition], list[MemberState]]:
    defined = [draw(budgets(name)) for name in ("one", "two", "a:b")[: draw(st.integers(0, 3))]]
    states = {}
    for budget in defined:
        for _ in range(draw(st.integers(0, 2))):
            one = state(
                budget.budget,
                draw(st.none() | AMOUNTS | st.decimals("-5", "0", places=3)),
                {dimension: draw(NAMES) for dimension in budget.each},
                limit=draw(AMOUNTS),
                unit=budget.unit,
                allowed=draw(st.booleans()),
                degrade_to=draw(st.sampled_from([None, *TIERS, "tiny"])),
                period_end=draw(TIMES),
                valid_until=draw(TIMES),
                reason=draw(st.sampled_from(["Why.", f"{budget.budget} says so."])),
            )
            states[one.key] = one
    return defined, list(states.values())


def known(records: list[Any]) -> QuotaTable:
    """What a client holds that has read these records of the server."""
    table = QuotaTable()
    for record in records:
        table.read(record.key, json.loads(record.model_dump_json()))
    return table


def decided_alike(
    definitions: list[BudgetDefinition],
    states: list[MemberState],
    question: dict[str, str],
    now: datetime,
) -> Decision:
    """The client's decision, after a look whether the server says the same."""
    answer = server.decide(definitions, {one.key: one for one in states}, question, now)
    table = known([*definitions, *states])
    decision = decide(table.definitions, table.members, question, now)
    assert (decision.allowed, decision.degrade_to) == (answer.allowed, answer.degrade_to)
    assert (decision.why, decision.known) == (answer.why, True)
    telling = [
        (share.budget, share.period_end)
        for share in answer.budgets
        if share.reason == answer.why and share.budget == decision.budget
    ]
    assert telling[:1] == [(decision.budget, decision.resets_at)] if answer.budgets else not telling
    return decision


@settings(deadline=None)
@given(worlds(), st.dictionaries(st.sampled_from(DIMENSIONS), NAMES), TIMES)
def test_the_client_decides_as_the_server_does(
    world: tuple[list[BudgetDefinition], list[MemberState]],
    question: dict[str, str],
    now: datetime,
):
    decided_alike(*world, question, now)


@pytest.mark.parametrize(
    ("first", "second", "telling"),
    [
        # In one unit the least left; between units the most used; the cheapest tier; who refuses.
        ({"used": 20}, {"used": 5000, "limit": 10_000}, "users"),
        ({"used": 20}, {"used": 5000, "limit": 10_000, "unit": "tokens"}, "all"),
        ({"used": 80, "degrade_to": "tiny"}, {"used": 90, "degrade_to": "balanced"}, "users"),
        ({"used": 80, "degrade_to": "frontier"}, {"used": 70, "degrade_to": "balanced"}, "all"),
        ({"used": 80, "allowed": False}, {"used": 90, "degrade_to": "balanced"}, "users"),
        ({"used": 60, "allowed": False}, {"used": 70, "allowed": False}, "all"),
        ({"used": None}, {"used": 1}, "all"),
    ],
)
def test_of_two_budgets_the_same_one_speaks(first, second, telling):
    definitions = [
        definition("users", limit=first.get("limit", 100)),
        definition("all", each=(), limit=second.get("limit", 100), unit=second.get("unit", "USD")),
    ]
    states = [state("users", **first), state("all", member={}, **second)]
    decision = decided_alike(definitions, states, {"user": "ann"}, NOW)
    assert decision.budget == telling


@settings(deadline=None)
@given(AMOUNTS, st.sampled_from([*UNITS, "calls", "HKD", "HKD an hour"]))
def test_a_limit_reads_as_the_server_writes_it(amount: Decimal, unit: str):
    assert limit_text(amount, unit) == amounts.limit_text(amount, unit)


def test_the_tiers_are_the_servers():
    assert TIERS == fields.TIERS


@pytest.mark.parametrize(
    ("changes", "allowed", "tier"),
    [
        ({"used": 100, "allowed": False}, False, None),
        ({"used": 90, "degrade_to": "balanced"}, True, "balanced"),
        ({"used": 10}, True, None),
    ],
)
def test_a_decision_names_its_budget_and_when_that_resets(changes, allowed, tier):
    table = known([definition(), state("users", **changes)])
    decision = decide(table.definitions, table.members, {"user": "ann"}, NOW)
    assert (decision.allowed, decision.degrade_to) == (allowed, tier)
    assert decision.why == "users has a reason."
    assert (decision.budget, decision.resets_at) == ("users", MONTH[1])
