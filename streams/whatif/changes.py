"""Changes as people write them: `+30%`, `-10%`, `+30%..+50%`, `x4`, `x2..x4`."""

from __future__ import annotations

import re
from fractions import Fraction

from reports.scenarios.scenario import Change
from schemas.errors import UserError

MOST = 1000
"""Times as much: more is a typo."""

_END = re.compile(r"(?:([+-])(\d{1,6}(?:\.\d{1,6})?)\s*%|[x×](\d{1,6}(?:\.\d{1,6})?))")
_NO_SIGN = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_NO_PERCENT = re.compile(r"[+-]\d+(?:\.\d+)?")
_TIMES_BEHIND = re.compile(r"(\d+(?:\.\d+)?)\s*[x×]")
_RIGHT = "write it as +30%, -10%, x4, or from..to, such as +30%..+50%"


def parse_change(option: str, text: str) -> Change:
    """Raises UserError: what is wrong, and the right form."""
    ends = [part.strip() for part in text.strip().lower().split("..")]
    if len(ends) > 2 or "" in ends:
        raise UserError(f"{option}: {text!r} is no change; {_RIGHT}")
    low, high = (_factor(option, text, end) for end in (ends[0], ends[-1]))
    if low > high:
        raise UserError(
            f"{option}: {text!r} goes down; put the lower end first: {ends[1]}..{ends[0]}"
        )
    return Change(low, high)


def _factor(option: str, text: str, end: str) -> Fraction:
    found = _END.fullmatch(end)
    if found is None:
        raise UserError(f"{option}: {text!r} is no change; {_right(end)}")
    sign, percent, times = found.groups()
    factor = Fraction(times) if times else 1 + Fraction(f"{sign}{percent}") / 100
    if factor < 0:
        raise UserError(f"{option}: {text!r} takes off more than all of it; -100% at most")
    if factor > MOST:
        raise UserError(f"{option}: {text!r} is more than {MOST} times as much; is it a typo?")
    return factor


def _right(end: str) -> str:
    if found := _NO_SIGN.fullmatch(end):
        return f"say in which direction: +{found[1]}% or -{found[1]}%"
    if _NO_PERCENT.fullmatch(end):
        return f"each end has its sign and its percent sign: {end}%"
    if found := _TIMES_BEHIND.fullmatch(end):
        return f"put the x first: x{found[1]}"
    if re.fullmatch(r"\d+(\.\d+)?", end):
        return f"write x{end} for {end} times as much, or +{end}% for so much more"
    return _RIGHT
