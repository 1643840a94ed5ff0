"""Causes of a difference, worked out by hand. Rates are pico-dollars a token."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest

from streams.invoices.attribution import (
    DUPLICATE,
    MISSING,
    NOT_ON_INVOICE,
    PRICE,
    TIME_ZONE,
    TOKEN_CLASS,
    TRUED_UP,
    UNEXPLAINED,
    UNPRICED,
    Sides,
    attribute,
)
from streams.invoices.cells import Cell, Ours, Theirs

DAYS = [Cell(date(2026, 11, 1) + timedelta(days=n), "m") for n in range(4)]
DAY = DAYS[0]
BOOK = {cell: {"input": Fraction(100), "cache_read": Fraction(10)} for cell in DAYS}


def sides(theirs: dict[Cell, Theirs], ours: dict[Cell, Ours], **more: dict[Cell, int]) -> Sides:
    utc = {cell: one.cost for cell, one in ours.items()}
    return Sides(theirs, ours, more.get("utc", utc), more.get("trued_up", {}))


def of_a_day(theirs: Theirs, ours: Ours, **more: dict[Cell, int]) -> dict[str, int]:
    return attribute(sides({DAY: theirs}, {DAY: ours}, **more), BOOK)[DAY]


def counted(**tokens: int) -> Theirs:
    """Tokens at the rates of the book."""
    return Theirs({name: n * int(BOOK[DAY][name]) for name, n in tokens.items()}, dict(tokens))


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (counted(input=10), Ours(1000, {"input": 10}), {}),
        (counted(input=12), Ours(1000, {"input": 10}), {MISSING: 200}),
        (counted(input=7), Ours(1000, {"input": 10}), {DUPLICATE: -300}),
        (Theirs({"input": 1500}, {"input": 10}), Ours(1000, {"input": 10}), {PRICE: 500}),
        (counted(input=8, cache_read=2), Ours(1000, {"input": 10}), {TOKEN_CLASS: -180}),
        (
            counted(input=8, cache_read=5),  # two are the same tokens, three are missing
            Ours(1000, {"input": 10}),
            {MISSING: 30, TOKEN_CLASS: -180},
        ),
        (counted(input=10), Ours(400, {"input": 4}, {"input": 6}), {UNPRICED: 600}),
        (Theirs(other=70), Ours(0), {UNEXPLAINED: 70}),
        (Theirs(other=70), Ours(60, {"input": 1}), {UNEXPLAINED: 10}),
        (Theirs(beside={"tax": 9, "credit": -2}), Ours(), {"taxes": 9, "credits": -2}),
        (Theirs(beside={"tax": 9}), Ours(5, {"input": 1}), {"taxes": 9, NOT_ON_INVOICE: -5}),
        (
            Theirs({"output": 900}, {"output": 3}),
            Ours(1000, {"input": 10}),
            {MISSING: 900, DUPLICATE: -1000},
        ),
    ],
)
def test_one_day(theirs, ours, expected):
    assert of_a_day(theirs, ours) == expected


def test_what_no_rate_is_known_for_is_not_explained():
    theirs = Theirs({"output": 900}, {}, {"output"})
    assert of_a_day(theirs, Ours(1000, {"input": 10})) == {UNEXPLAINED: -100}


def test_true_ups_and_shifts_of_days_are_named_apart():
    more = {"utc": {DAY: 700}, "trued_up": {DAY: 200}}
    found = of_a_day(counted(input=12), Ours(1000, {"input": 10}), **more)
    assert found == {MISSING: 200, TIME_ZONE: 300, TRUED_UP: -200}


@pytest.mark.parametrize(("days", "cause"), [(2, MISSING), (3, PRICE), (4, PRICE)])
def test_one_factor_on_three_days_is_a_price_where_tokens_are_not_told(days, cause):
    theirs = {cell: Theirs({"input": 1500}, {}, {"input"}) for cell in DAYS[:days]}
    ours = {cell: Ours(1000, {"input": 10}) for cell in DAYS[:days]}
    found = attribute(sides(theirs, ours), BOOK)
    assert all(parts == {cause: 500} for parts in found.values())


def test_days_that_differ_by_other_factors_are_events():
    theirs = {cell: Theirs({"input": 1000 + 100 * n}, {}, {"input"}) for n, cell in enumerate(DAYS)}
    ours = {cell: Ours(1000, {"input": 10}) for cell in DAYS}
    found = attribute(sides(theirs, ours), BOOK)
    assert [parts.get(MISSING, 0) for parts in found.values()] == [0, 100, 200, 300]
