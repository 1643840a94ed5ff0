"""What is usual: order statistics of integers, exact."""

from __future__ import annotations

from collections.abc import Sequence


def median(values: Sequence[int]) -> int:
    """The middle one, or the mean of the two in the middle, cut. Not of nothing."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2


def percentile(values: Sequence[int], percent: int) -> int:
    """The smallest value that ``percent`` of them do not exceed (nearest rank). Not of nothing."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(rank, 1) - 1]
