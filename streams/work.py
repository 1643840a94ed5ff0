"""Work that a stage has begun, and its promise to give signs of life."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

ALIVE_SECONDS = 20.0
"""The promise of a loop. Its turns take a second, and whoever is stuck is seen within 30."""
LATE_SECONDS = 10.0
"""Whoever is silent for so long may be waiting for the broker: time to ask it."""
READY_SECONDS = 30.0
"""One turn of work that takes longer is not what its readers count on."""
PATIENCE_SECONDS = 300.0
"""The promise during a request to ClickHouse: longer than several that wait for each other, each
up to the driver's own limit. One that is still there then is stuck in our own process."""


def never() -> bool:
    """Nothing excuses it."""
    return False


class Work:
    """Something that has begun, with its promise; it may be a part of other work, its ``whole``."""

    def __init__(
        self,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        whole: Work | None = None,
        excused: Callable[[], bool] = never,
        *,
        limit: float = ALIVE_SECONDS,
        awaited: bool = True,
    ) -> None:
        self.name = name
        self.doing = ""
        self.whole = whole
        self._limit = limit
        self._awaited = awaited
        self._clock = clock
        self._excused = excused
        self.begin()

    def begin(self) -> None:
        """A new turn, which is what readiness judges."""
        self._began = self._clock()
        self.beat()

    def beat(self, within: float | None = None) -> None:
        """A sign of life; the next one comes within so many seconds, or its own limit."""
        self._seen = self._clock()
        self._due = self._seen + (within or self._limit)

    def forgive(self) -> None:
        """Of whom nothing is expected now, nothing was: the promise begins anew afterwards."""
        if self._excused():
            self.begin()

    def wholes(self) -> Iterator[Work]:
        """What it is a part of, directly or not."""
        if self.whole is not None:
            yield self.whole
            yield from self.whole.wholes()

    def is_overdue(self) -> bool:
        """True where the promise is broken."""
        return self._clock() > self._due and not self._excused()

    def is_late(self) -> bool:
        """True where it is time to ask whether a neighbour is away."""
        return self._clock() > max(self._seen, self._due - ALIVE_SECONDS) + LATE_SECONDS

    def is_stalled(self) -> bool:
        """True where somebody waits for it and its turn takes too long."""
        too_long = self._clock() > self._began + READY_SECONDS
        return self._awaited and too_long and not self._excused()

    def described(self) -> dict[str, Any]:
        """For a reader: what it is, what it does, since when, and when it was last heard of."""
        now = self._clock()
        return {
            "work": self.name,
            "doing": self.doing,
            "began_seconds_ago": round(now - self._began, 1),
            "silent_seconds": round(now - self._seen, 1),
        }
