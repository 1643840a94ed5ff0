"""A scenario changes what it is about, leaves the rest, and never makes the unknown a zero."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from reports.scenarios.scenario import UNCHANGED, Change, Line, Scenario, outcome, outcomes_by

X4 = Change(Fraction(4), Fraction(4))
DEARER = Change(Fraction("1.3"), Fraction("1.5"))
LINES = [
    Line("openai", "gpt-4o", "search", 10, Decimal("100")),
    Line("openai", "gpt-4o", "support", 10, Decimal("50.000000000001")),
    Line("anthropic", "haiku", "search", 5, Decimal("20")),
    Line("own", "mystery", "risk", 5, None),
]


def test_price_and_usage_multiply():
    found = outcome("all", LINES, Scenario(DEARER, X4))
    assert found.base == Decimal("170.000000000001")
    assert found.low == Decimal("884.000000000005")  # 170.000000000001 x 5.2, to 1e-12
    assert found.high == Decimal("1020.000000000006")
    assert found.more == (Decimal("714.000000000004"), Decimal("850.000000000005"))


def test_only_what_is_named_changes_in_any_case():
    found = outcomes_by(lambda line: line.provider, LINES, Scenario(X4, UNCHANGED, "OpenAI"))
    assert [(one.name, one.low) for one in found] == [
        ("openai", Decimal("600.000000000004")),
        ("anthropic", Decimal(20)),
        ("own", None),
    ]


def test_what_is_not_known_stays_unknown():
    (found,) = outcomes_by(lambda line: line.provider, LINES[-1:], Scenario(DEARER, X4))
    assert (found.base, found.low, found.high, found.more) == (None, None, None, None)


COSTS = st.decimals(-(10**9), 10**9, places=12)
FACTORS = st.fractions(0, 1000, max_denominator=10**6)


@given(st.lists(COSTS, min_size=1), FACTORS, FACTORS)
def test_the_parts_add_up_to_the_whole_within_their_rounding(costs, one, other):
    lines = [Line("p", f"m{n}", "t", 1, cost) for n, cost in enumerate(costs)]
    scenario = Scenario(Change(min(one, other), max(one, other)), UNCHANGED)
    whole = outcome("all", lines, scenario)
    assert whole.low is not None
    assert whole.high is not None
    assert whole.low <= whole.high
    parts = [outcome(line.model, [line], Scenario(X4, UNCHANGED)) for line in lines]
    assert sum(part.low for part in parts if part.low is not None) == 4 * sum(costs)


@given(st.lists(COSTS, min_size=1))
def test_no_change_changes_nothing(costs):
    lines = [Line("p", "m", "t", 1, cost) for cost in costs]
    found = outcome("all", lines, Scenario(UNCHANGED, UNCHANGED))
    assert found.base == found.low == found.high == sum(costs)
