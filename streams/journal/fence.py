"""Compare-and-append: which ranges of the journal count.

The law: whoever appends what, how often and in which order, every reader of the same journal
accepts the same ranges, and the accepted ranges of a partition tile its offsets without gap or
overlap. So an event is counted exactly once, over crashes, zombies, replays and two owners.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.journal import Range, SourcePartition


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a partition is counted: ``next`` offset, as of journal position ``position``."""

    next: int | None
    position: int


class Fence:
    """Judges the ranges of one journal, in the order of their positions.

    ``since`` is the position that the given marks are complete for: a partition without a mark has
    no accepted range up to there. A fresh reader has no marks and starts at -1.
    """

    def __init__(
        self, marks: Mapping[SourcePartition, Mark] | None = None, *, since: int = -1
    ) -> None:
        self._marks = dict(marks or {})
        self._unknown = Mark(None, since)

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
