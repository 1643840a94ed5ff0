"""Compare-and-append: which ranges of the journal count.

The law: whoever appends what, how often and in which order, every reader of the same journal
accepts the same ranges, and the accepted ranges of a partition tile its offsets without gap or
overlap. So an event is counted exactly once, over crashes, zombies, replays and two owners.
Adjustments have no offsets to compare: the first of an id counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.journal import Counted, Entry, Range, SourcePartition


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a partition is counted: ``next`` offset, as of journal position ``position``."""

    next: int | None
    position: int


class Fence:
    """Judges the entries of one journal, in the order of their positions.

    ``since`` is the position that the given marks and ids of adjustments are complete for: a
    partition without a mark has no accepted range up to there. A fresh reader has none, and -1.
    """

    def __init__(
        self,
        marks: Mapping[SourcePartition, Mark] | None = None,
        adjusted: Iterable[str] = (),
        *,
        since: int = -1,
    ) -> None:
        self._marks = dict(marks or {})
        self._adjusted = set(adjusted)
        self._unknown = Mark(None, since)

    def counted(self, entry: Entry, position: int) -> Counted:
        """Judge one entry; what of it counts. Repeatable: covered positions add nothing."""
        ranges = self.accepted(entry.ranges, position)
        adjustment = entry.adjustment
        if adjustment is None:
            return Counted(ranges, None, entry.rows_of(ranges))
        if adjustment.adjustment_id in self._adjusted:
            return Counted((), None, entry.rows.slice(0, 0))
        self._adjusted.add(adjustment.adjustment_id)
        return Counted((), adjustment, entry.rows)

    def accept(self, covered: Range, position: int) -> bool:
        """True where the range counts; then it is the partition's newest. Repeatable: a position
        that is already covered is never accepted again. A range that goes back never counts."""
        mark = self._marks.get(covered.key, self._unknown)
        if position <= mark.position or covered.through < covered.start - 1:
            return False
        if mark.next is not None and covered.start != mark.next:
            return False
        self._marks[covered.key] = Mark(covered.through + 1, position)
        return True

    def accepted(self, ranges: Iterable[Range], position: int) -> tuple[Range, ...]:
        """Those of one entry's ranges that count."""
        return tuple(covered for covered in ranges if self.accept(covered, position))

    def next(self, partition: SourcePartition) -> int | None:
        """The offset that the partition's next range must start at; None while it has none."""
        return self._marks.get(partition, self._unknown).next

    @property
    def marks(self) -> Mapping[SourcePartition, Mark]:
        """How far each known partition is counted."""
        return dict(self._marks)
