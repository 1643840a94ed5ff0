"""The active guard says every few seconds that it is at work: silence is then no lack of news."""

from __future__ import annotations

from datetime import datetime, timedelta

from schemas.quotas import HEARTBEAT_KEY, Heartbeat, Stamp
from streams.guard.concern import AsOf
from streams.quotas.publisher import Put
from streams.quotas.table import QuotaTable

EVERY = timedelta(seconds=5)
"""Few enough for a topic that is compacted late; readers are patient for several of them."""


class Pulse:
    """``table`` is what this process has read of the topic."""

    def __init__(self, table: QuotaTable, put: Put) -> None:
        self._table = table
        self._put = put
        self._last: datetime | None = None

    def beat(self, at: AsOf, now: datetime) -> None:
        """Say so, where it is due, and nobody has said it as of a later entry.

        To be called after what follows from the entry was published, and every second.
        """
        early = self._last is not None and self._last <= now < self._last + EVERY
        if early or not self._table.ready:
            return
        stamp = Stamp(journal=at.journal, position=at.position, at=now)
        told = self._table.heartbeat
        if stamp.replaces(None if told is None else told.as_of):
            self._last = now
            self._put(HEARTBEAT_KEY, Heartbeat(as_of=stamp), stamp)
