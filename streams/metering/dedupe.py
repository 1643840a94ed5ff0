"""The window of event ids: which events repeat an earlier one of their partition.

The decision for an event depends on the log alone, so that every owner of a partition, after any
crash, decides alike: an event repeats another if its id stands at an earlier offset of its own
block of ``horizon`` offsets or of the block before. To rebuild the window, read from
`rebuild_from`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Repeats:
    """Positions in the given sequence that repeat an earlier event: ``duplicates`` with the same
    payload, ``conflicts`` with another one than the first of their id in the two blocks."""

    duplicates: tuple[int, ...] = ()
    conflicts: tuple[int, ...] = ()


class IdWindow:
    """Ids of one partition with a digest of their payload.

    ``prior`` holds ids that were counted before this log began (an earlier, forgotten broker);
    their payloads are not known. They stand for the block before the first one of the log, and are
    forgotten after the second, by a window that was there from the beginning as by a rebuilt one.
    """

    def __init__(self, horizon: int, prior: Collection[str] = frozenset()) -> None:
        self._horizon = horizon
        self._prior = prior
        self._block = -1
        self._current: dict[str, int] = {}
        self._previous: dict[str, int] = {}

    @staticmethod
    def rebuild_from(offset: int, horizon: int) -> int:
        """First offset that decisions from ``offset`` on depend on."""
        return max(0, (offset // horizon - 1) * horizon)

    def observe(
        self, offsets: Sequence[int], ids: Sequence[str], digests: Sequence[int]
    ) -> Repeats:
        """Take in valid events in ascending order of offset; say which repeat an earlier one."""
        duplicates: list[int] = []
        conflicts: list[int] = []
        start = 0
        while start < len(ids):
            block = offsets[start] // self._horizon
            self._roll_to(block)
            end = bisect_left(offsets, (block + 1) * self._horizon, start)
            fresh = dict(zip(ids[start:end], digests[start:end], strict=True))
            if len(fresh) == end - start and self._knows_none(fresh):
                self._current.update(fresh)
            else:
                for position in range(start, end):
                    repeated, conflict = self._observe_one(ids[position], digests[position])
                    if repeated:
                        (conflicts if conflict else duplicates).append(position)
            start = end
        return Repeats(tuple(duplicates), tuple(conflicts))

    def _knows_none(self, fresh: Mapping[str, int]) -> bool:
        keys = fresh.keys()
        return (
            keys.isdisjoint(self._current)
            and keys.isdisjoint(self._previous)
            and (not self._prior or keys.isdisjoint(self._prior))
        )

    def _observe_one(self, event_id: str, digest: int) -> tuple[bool, bool]:
        known = self._previous.get(event_id)
        if known is None:
            known = self._current.get(event_id)
        # Its own payload, not the one it was compared with: the next block must not depend on
        # more than this one.
        self._current.setdefault(event_id, digest)
        if known is None:
            return event_id in self._prior, False
        return True, known != digest

    def _roll_to(self, block: int) -> None:
        if block == self._block:
            return
        self._previous = self._current if block == self._block + 1 else {}
        self._current = {}
        self._block = block
        if block > 1:
            self._prior = frozenset()
