"""Time by the events: what the guard judges by, live or while a day is replayed in a minute."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import polars as pl


class EventClock:
    """The newest minute that was seen, carried on at the clock's speed while none come.

    It never runs ahead of the clock on the wall, whatever a producer's clock says, and never back.
    """

    def __init__(self, seen: datetime) -> None:
        self._seen = seen
        self._at = time.monotonic()

    def now(self) -> datetime:
        """Event time now, UTC."""
        passed = timedelta(seconds=time.monotonic() - self._at)
        return min(self._seen + passed, datetime.now(UTC))

    def see(self, rows: pl.DataFrame) -> datetime:
        """Take note of the rows of an entry; event time after them."""
        newest = rows["minute"].max()
        if isinstance(newest, datetime) and newest > self.now():
            self._seen, self._at = newest, time.monotonic()
        return self.now()
