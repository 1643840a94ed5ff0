"""The verdict: do the copies agree, and if not, why, and what can be done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.journal import SourcePartition
from sinks.clickhouse import ClickHouse
from streams.reconciliation.causes import ADJUSTED, Cause, Explanation, explained_without_log
from streams.reconciliation.figures import (
    Difference,
    Figures,
    compare_archive,
    compare_guard,
)
from streams.reconciliation.ranges import RangeDifference, differing_ranges

Witness = Callable[[Sequence[RangeDifference]], list[Explanation]]
REPAIRED = ADJUSTED | {Cause.MISSING_IN_ARCHIVE}


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was compared and found. ``guard_position`` is None where the guard did not answer.

    ``unplaced``: differences of archive and ledger that no journal range accounts for, such as
    rows of `spend` that no entry stands for."""

    compared: Figures
    partitions: int
    differences: tuple[Difference, ...]
    guard_position: int | None
    explanations: tuple[Explanation, ...] = ()
    unplaced: tuple[SourcePartition, ...] = ()

    @property
    def archive_agrees(self) -> bool:
        """True where archive and ledger are equal, but for what retention took from the archive:
        that is on record, and the ledger has counted it."""
        return not self.unplaced and all(
            explanation.cause is Cause.UNARCHIVED for explanation in self.explanations
        )

    @property
    def ok(self) -> bool:
        """True where all three copies are there and agree."""
        guard_differs = any("guard" in difference.copies for difference in self.differences)
        return self.archive_agrees and not guard_differs and self.guard_position is not None

    @property
    def repairable(self) -> tuple[Explanation, ...]:
        """What `repair` would correct."""
        return tuple(e for e in self.explanations if e.cause in REPAIRED)


def reconcile(
    clickhouse: ClickHouse,
    guard: Mapping[str, Any] | None,
    witness: Witness = explained_without_log,
) -> Reconciliation:
    """Compare the copies. ``guard``: its `/v1/state`, None where it did not answer. ``witness``
    explains ranges that differ. Raises ClickHouseError."""
    comparison = compare_archive(clickhouse)
    explanations: list[Explanation] = []
    unplaced: tuple[SourcePartition, ...] = ()
    if comparison.differences:
        partitions = {difference.cell.partition for difference in comparison.differences}
        ranges = differing_ranges(clickhouse, comparison.bounds, partitions)
        unplaced = _unplaced(comparison.differences, ranges)
        explanations = witness(ranges)
    return Reconciliation(
        comparison.compared,
        len({bound.partition for bound in comparison.bounds}),
        (*comparison.differences, *(compare_guard(clickhouse, guard) if guard else ())),
        None if guard is None else int(guard["position"]),
        tuple(explanations),
        unplaced,
    )


def _unplaced(
    differences: Iterable[Difference], ranges: Iterable[RangeDifference]
) -> tuple[SourcePartition, ...]:
    """Partitions whose differences are not those of their ranges."""
    left: Counter[tuple[SourcePartition, str]] = Counter()
    for difference in differences:
        archived, counted = difference.values
        left[difference.cell.partition, difference.figure] += archived - counted
    for found in ranges:
        for figure in ("calls", "tokens", "cost"):
            left[found.partition, figure] -= getattr(found.figures, figure)
    return tuple(sorted({partition for (partition, _), amount in left.items() if amount}))
