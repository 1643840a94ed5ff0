"""Money split by weights, exactly: the parts add up to it, to the pico-dollar."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def split(amount: int, weights: Mapping[K, int]) -> dict[K, int]:
    """An amount (of any sign) by weights, by the largest remainder; of equal ones the first.

    No part is further than one from its exact share. Raises ValueError where a weight is negative,
    or none is positive.
    """
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise ValueError("weights must not be negative, and one must be positive")
    sign = -1 if amount < 0 else 1
    parts, remainders = {}, []
    for number, (key, weight) in enumerate(weights.items()):
        parts[key], remainder = divmod(abs(amount) * weight, total)
        remainders.append((-remainder, number, key))
    left = abs(amount) - sum(parts.values())
    for _, _, key in sorted(remainders, key=lambda one: one[:2])[:left]:
        parts[key] += 1
    return {key: sign * part for key, part in parts.items()}
