"""Attribution: whatever both sides have, the parts add up to the variance to the last digit."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.invoices.attribution import CAUSES, Sides, attribute
from streams.invoices.cells import Cell, Ours, Theirs
from streams.invoices.line import CLASSES

MONEY = st.integers(-(10**15), 10**15)
COUNTS = st.integers(-1000, 10**9)
CELLS = st.builds(
    lambda day, model: Cell(date(2026, 11, 1) + timedelta(days=day), model),
    st.integers(0, 3),
    st.sampled_from(["a", "b", ""]),
)
THEIRS = st.builds(
    Theirs,
    st.dictionaries(st.sampled_from(CLASSES), MONEY),
    st.dictionaries(st.sampled_from(CLASSES), COUNTS),
    st.sets(st.sampled_from(CLASSES)),
    MONEY,
    st.dictionaries(st.sampled_from(["credit", "fee", "tax"]), MONEY),
)
OURS = st.builds(
    Ours,
    MONEY,
    st.dictionaries(st.sampled_from(CLASSES), COUNTS),
    st.dictionaries(st.sampled_from(CLASSES), COUNTS),
)
SIDES = st.builds(
    Sides,
    st.dictionaries(CELLS, THEIRS, max_size=6),
    st.dictionaries(CELLS, OURS, max_size=6),
    st.dictionaries(CELLS, MONEY, max_size=6),
    st.dictionaries(CELLS, MONEY, max_size=4),
)
BOOK = st.dictionaries(
    CELLS,
    st.dictionaries(
        st.sampled_from(CLASSES), st.fractions(Fraction(0), Fraction(10**8), max_denominator=1000)
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(SIDES, BOOK)
def test_the_parts_of_every_cell_add_up_to_its_variance(sides, book):
    found = attribute(sides, book)
    assert set(found) == set(sides.cells)
    for cell, parts in found.items():
        assert sum(parts.values()) == sides.variance(cell)
        assert set(parts) <= set(CAUSES)
