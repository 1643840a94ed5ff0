"""An amount over shares, exact: the parts add up to it, to the last pico-dollar.

Every part is cut to whole pico-dollars, and what is left goes one by one to those that lost most
(the largest remainder); of equal ones to the first in order. So the same shares always give the
same parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TypeVar

K = TypeVar("K")


def distribute(amount: int, shares: Mapping[K, int]) -> dict[K, int]:
    """``amount`` in proportion to ``shares``, in their order. A share that is negative gets a part
    of the other sign. Raises ValueError where the shares add up to nothing, or less.
    """
    whole = sum(shares.values())
    if whole <= 0:
        raise ValueError(f"shares of {whole} in all; nothing can be in proportion to them")
    exact = {key: Fraction(amount * share, whole) for key, share in shares.items()}
    parts = {key: part.__floor__() for key, part in exact.items()}
    left = amount - sum(parts.values())
    by_remainder = sorted(exact, key=lambda key: parts[key] - exact[key])  # stable: first in order
    for key in by_remainder[:left]:
        parts[key] += 1
    return parts


def differences(wanted: Mapping[K, int], there: Mapping[K, int]) -> dict[K, int]:
    """What has to be added to ``there`` so that it is what is wanted; nothing where it is."""
    keys = dict.fromkeys([*wanted, *there])
    found = {key: wanted.get(key, 0) - there.get(key, 0) for key in keys}
    return {key: amount for key, amount in found.items() if amount}
