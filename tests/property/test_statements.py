"""Statements: whatever the rules, all of them together are the ledger and its markup, exactly."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from reports.chargeback.lines import Line
from reports.chargeback.rules import Rules, Shared
from reports.chargeback.shares import PICO, nearest_whole, pico, rounded_parts, shares, usd
from reports.chargeback.statement import statements, summed

DEPARTMENTS = ("Sales", "Research", "Support")
TEAMS = ("a", "b", "platform")
MONTH = date(2026, 11, 1)

costs = st.none() | st.integers(-(10**15), 10**18).map(usd)
lines = st.builds(
    Line,
    month=st.just(MONTH),
    department=st.sampled_from((*DEPARTMENTS, None)),
    team=st.sampled_from(TEAMS),
    project=st.sampled_from(("x", None)),
    use_case=st.none(),
    provider=st.just("own"),
    model=st.sampled_from(("small", "large")),
    calls=st.integers(-10, 10**6),
    tokens=st.integers(0, 10**9),
    cost=costs,
    unpriced=st.integers(0, 3),
    restated=st.sampled_from((None, None, "repricing")),
)
percents = st.integers(-(10**8), 10**9).map(lambda units: Decimal(units).scaleb(-6))
parts = st.dictionaries(
    st.sampled_from((*DEPARTMENTS, "New")), st.integers(1, 10**6).map(Decimal), min_size=1
)
shared = st.builds(
    Shared,
    name=st.sampled_from(("one", "two")),
    teams=st.sampled_from(((), ("platform",), ("platform", "b"))),
    unattributed=st.booleans(),
    by=st.sampled_from(("spend", "calls", "fixed")),
    parts=parts,
    departments=st.sampled_from(((), ("Sales",))),
)
rules = st.builds(
    Rules,
    currency=st.sampled_from(("USD", "HKD", "JPY", "KWD")),
    rate=st.integers(1, 10**9).map(lambda units: Decimal(units).scaleb(-6)),
    markup=percents,
    markups=st.dictionaries(st.sampled_from(DEPARTMENTS), percents),
    shared=st.lists(shared, max_size=2).map(tuple),
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(lines, max_size=12), rules)
def test_all_statements_are_the_ledger_and_the_markup(found, rules):
    made = statements(found, rules)
    sums = summed(made)
    ledger = sum((line.cost for line in found if line.cost is not None), Decimal(0))
    assert sums["usage"] + sums["restated"] == ledger
    assert sums["shared_cost"] == 0
    assert sums["total"] == ledger + sums["markup"]
    assert sum(item.line.calls for one in made for item in one.items) == sum(
        line.calls for line in found
    )


@settings(deadline=None)  # the machine may be busy
@given(st.lists(lines, max_size=12), rules)
def test_lines_add_up_to_their_statement_in_both_currencies(found, rules):
    for one in statements(found, rules):
        assert one.total == one.usage + one.restated + one.shared_cost + one.markup
        charged = [*one.items, *one.shared]
        assert sum((part.total for part in charged), Decimal(0)) == one.total
        assert sum((part.amount for part in charged), Decimal(0)) == one.amount
        assert sum((item.markup for item in one.items), Decimal(0)) == one.markup


@settings(deadline=None)  # the machine may be busy
@given(st.lists(lines, max_size=12), rules)
def test_amounts_are_the_converted_total_rounded_once(found, rules):
    made = statements(found, rules)
    smallest = Decimal(1).scaleb(-rules.decimals)
    exact = sum((Fraction(one.total) for one in made), Fraction(0)) * Fraction(rules.rate)
    assert summed(made)["amount"] == nearest_whole(exact / Fraction(smallest)) * smallest
    for one in made:
        for charged in (one, *one.items, *one.shared):
            converted = Fraction(charged.total) * Fraction(rules.rate)
            assert abs(Fraction(charged.amount) - converted) < smallest
        for team in {item.line.team for item in one.items if item.line.restated is None}:
            own = [
                item for item in one.items if item.line.team == team and item.line.restated is None
            ]
            converted = sum((Fraction(item.total) for item in own), Fraction(0))
            amount = sum((Fraction(item.amount) for item in own), Fraction(0))
            assert abs(amount - converted * Fraction(rules.rate)) < smallest


@settings(deadline=None)  # the machine may be busy
@given(st.lists(lines, max_size=12), rules)
def test_the_order_of_the_ledger_does_not_matter_to_totals(found, rules):
    forward, backward = statements(found, rules), statements(found[::-1], rules)
    assert [(one.department, one.total, one.amount) for one in forward] == [
        (one.department, one.total, one.amount) for one in backward
    ]


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.fractions(max_denominator=997), min_size=1, max_size=20))
def test_rounded_parts_add_up_and_none_is_off_by_a_unit(exact):
    whole = nearest_whole(sum(exact, Fraction(0)))
    found = rounded_parts(exact, whole)
    assert sum(found) == whole
    assert all(abs(part - value) < 1 for part, value in zip(found, exact, strict=True))


@settings(deadline=None)  # the machine may be busy
@given(
    st.integers(-(10**15), 10**20),
    st.lists(st.fractions(0, 100), min_size=1, max_size=9).filter(any),
)
def test_shares_add_up_and_who_weighs_nothing_gets_nothing(whole, weights):
    found = shares(whole, weights)
    assert sum(found) == whole
    assert all(part == 0 for part, weight in zip(found, weights, strict=True) if not weight)


@settings(deadline=None)  # the machine may be busy
@given(st.integers(-(10**30), 10**30))
def test_a_unit_is_a_millionth_of_a_millionth_of_a_dollar(units):
    assert pico(usd(units)) == units
    assert usd(1) == PICO
