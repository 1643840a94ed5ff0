"""Parts of a whole that add up to it: the largest remainder method.

Every part is rounded down to whole units, and the units that are left go to the parts that lost
most by it, the first of equals. So no part is off by a unit or more, and the sum is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

PICO = Decimal("1e-12")
"""The unit of the ledger: 1e-12 USD."""


def rounded_parts(exact: Sequence[Fraction], whole: int) -> list[int]:
    """The parts in whole units; none is off by a unit, and one that is nothing stays nothing.

    ``whole``: what they come to, their sum rounded up or down. Raises ValueError where it is not.
    """
    parts = [value.numerator // value.denominator for value in exact]
    left = whole - sum(parts)
    if not 0 <= left <= len(parts):
        raise ValueError(f"{whole} is no rounding of the sum of the parts")
    lost = sorted(range(len(parts)), key=lambda index: parts[index] - exact[index])
    for index in lost[:left]:
        parts[index] += 1
    return parts


def shares(whole: int, weights: Sequence[Fraction]) -> list[int]:
    """A whole number of units in proportion to weights, none negative and one of them positive.

    Raises ValueError for other weights.
    """
    total = sum(weights, Fraction(0))
    if total <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("weights are not negative, and one of them is positive")
    return rounded_parts([Fraction(whole) * weight / total for weight in weights], whole)


def nearest_whole(value: Fraction) -> int:
    """The next whole number, half to even."""
    return round(value)


def pico(usd: Decimal | None) -> int:
    """USD of the ledger in its units; nothing where it is not known."""
    if usd is None:
        return 0
    with localcontext(prec=80):
        return int(usd.scaleb(12))


def usd(units: int) -> Decimal:
    """Units of the ledger as USD, scale 12."""
    with localcontext(prec=80):
        return Decimal(units).scaleb(-12)
