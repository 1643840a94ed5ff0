"""Changes as people write them, and what a typo is answered with."""

from __future__ import annotations

from fractions import Fraction

import pytest

from reports.scenarios.scenario import Change
from schemas.errors import UserError
from streams.whatif.changes import parse_change


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("+30%", "1.3", "1.3"),
        ("-10%", "0.9", "0.9"),
        ("+30%..+50%", "1.3", "1.5"),
        ("-12.5 % .. +20 %", "0.875", "1.2"),
        ("x4", "4", "4"),
        ("X2..X4", "2", "4"),
        ("×0.5..+10%", "0.5", "1.1"),
        ("-100%", "0", "0"),
    ],
)
def test_a_change_is_read_exactly(text, low, high):
    assert parse_change("--price", text) == Change(Fraction(low), Fraction(high))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("30%", "say in which direction: +30% or -30%"),
        ("+30", "each end has its sign and its percent sign: +30%"),
        ("+30..+50%", "each end has its sign and its percent sign: +30%"),
        ("4x", "put the x first: x4"),
        ("4", "write x4 for 4 times as much, or +4% for so much more"),
        ("x4..x2", "put the lower end first: x2..x4"),
        ("-110%", "-100% at most"),
        ("x5000", "is it a typo?"),
        ("more", "write it as +30%, -10%, x4, or from..to"),
        ("+30%..", "write it as +30%, -10%, x4, or from..to"),
        ("+1%..+2%..+3%", "write it as +30%, -10%, x4, or from..to"),
        ("", "write it as +30%, -10%, x4, or from..to"),
    ],
)
def test_a_typo_is_answered_with_the_right_form(text, said):
    with pytest.raises(UserError) as mistake:
        parse_change("--usage", text)
    assert str(mistake.value).startswith("--usage: ")
    assert said in str(mistake.value)
