"""When wasted attempts are a storm, and failures at a provider an outage."""

from __future__ import annotations

from dataclasses import dataclass

KEEP_MINUTES = 180
"""Minutes that are kept: what an episode has cost is told for so long, and none is found anew."""


@dataclass(frozen=True, slots=True)
class StormRule:
    """What makes a minute evidence, of a storm and of an outage alike.

    In the window of ``window_minutes`` that ends with it, at least ``min_calls`` attempts were
    wasted, and these were at least ``share_percent`` of all. ``quiet_seconds`` (event time) without
    evidence end it.
    """

    window_minutes: int = 2
    min_calls: int = 20
    share_percent: int = 50
    quiet_seconds: int = 120

    @property
    def gap_minutes(self) -> int:
        """Evidence at most this far apart belongs to one storm."""
        return max(self.window_minutes, -(-self.quiet_seconds // 60))

    def window(self, minute: int) -> range:
        """The minutes of the window that ends with ``minute``."""
        return range(minute - self.window_minutes + 1, minute + 1)

    def enough(self, bad: int, calls: int) -> bool:
        """Whether a window is evidence: ``bad`` of its ``calls``."""
        return bad >= self.min_calls and self.mostly(bad, calls)

    def mostly(self, bad: int, calls: int) -> bool:
        """Whether ``bad`` is at least the share of ``calls``, however few these are."""
        return bad > 0 and bad * 100 >= calls * self.share_percent

    def level(self, bad: int, steps: tuple[int, ...]) -> int:
        """1, and one more for each of ``steps`` times ``min_calls`` that ``bad`` has reached."""
        return 1 + sum(bad >= step * self.min_calls for step in steps)
