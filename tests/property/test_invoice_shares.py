"""Shares of money: exact, and as near to proportional as whole pico-dollars allow."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.guard.money import pico
from streams.invoices.cells import Cell
from streams.invoices.shares import split
from streams.invoices.trueup import ATTRIBUTED, Shares
from streams.trueup.money import MOST_ROWS

AMOUNTS = st.integers(-(10**24), 10**24)
WEIGHTS = st.dictionaries(st.text(max_size=3), st.integers(0, 10**18), min_size=1).filter(
    lambda weights: sum(weights.values()) > 0
)
USED = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["search", "support"]),
        st.tuples(*(st.integers(-5, 10**12),) * 3),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(AMOUNTS, WEIGHTS)
def test_parts_add_up_and_none_is_a_pico_dollar_from_its_share(amount, weights):
    parts = split(amount, weights)
    assert sum(parts.values()) == amount
    for key, weight in weights.items():
        assert abs(parts[key] - Fraction(amount * weight, sum(weights.values()))) < 1


@settings(deadline=None)
@given(USED, AMOUNTS.filter(bool), st.booleans(), st.sampled_from(["a", "b", "c"]))
def test_a_true_up_by_team_adds_up_whatever_was_used(used, amount, monthly, model):
    shares = Shares("own", monthly=monthly)
    for day, of, team, weights in used:
        who = tuple(team if name == "team" else None for name in ATTRIBUTED)
        shares.add(date(2026, 11, day), of, who, weights)
    parts = list(shares.amounts(Cell(date(2026, 11, 1), model), amount))
    assert sum(pico(part.usd) for part in parts) == amount
    assert {part.attribution["model"] for part in parts} == {model}


@pytest.mark.parametrize("teams", [3, 1500])
def test_a_cell_fits_into_one_entry_of_the_journal_however_many_used_it(teams):
    shares = Shares("own", monthly=True)
    for number in range(2 * MOST_ROWS):
        who = (None, f"team-{number % teams}", f"project-{number}", None, None, None)
        shares.add(date(2026, 11, 1 + number % 2), "a", who, (1 + number, 0, 0))
    parts = list(shares.amounts(Cell(date(2026, 11, 1), "a"), 10**12 + 1))
    assert sum(pico(part.usd) for part in parts) == 10**12 + 1
    assert len({(part.day, part.attribution["team"]) for part in parts}) == len(parts) <= MOST_ROWS
    assert len({part.attribution["team"] for part in parts}) == teams


@pytest.mark.parametrize("weights", [{}, {"a": 0}, {"a": 2, "b": -1}])
def test_without_a_weight_there_is_no_share(weights):
    with pytest.raises(ValueError, match="weights"):
        split(5, weights)
