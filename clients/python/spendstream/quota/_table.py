"""What is known of quotas, in memory: of each key the newest record. Pure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from spendstream.quota._records import Definition, Heartbeat, Member, Stamp, read_record

_log = logging.getLogger("spendstream")


def utc_now() -> datetime:
    """The time on the wall."""
    return datetime.now(UTC)


class QuotaTable:
    """One reading from the beginning: written by one thread, looked at by any.

    ``now`` is the time on the wall, ``clock`` one that is never put forward or back, in seconds.
    """

    def __init__(
        self, now: Callable[[], datetime] = utc_now, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.definitions: tuple[Definition, ...] = ()
        self.members: dict[str, Member] = {}
        self.live = False
        """From now on what comes is new; what came before was there when the reading began."""
        self.heard: float | None = None
        """When a guard last said something, by ``clock``; None where none has."""
        self._now = now
        self._clock = clock
        self._stamps: dict[str, Stamp] = {}

    def read(self, key: str, value: Any, stamp: Stamp | None = None) -> None:
        """Take a record, as a JSON object; None: the key has none any more, as of ``stamp``.

        A removal without a stamp (an operator's) is believed. What is no record, or of a kind that
        a newer server has, is passed over.
        """
        if value is None:
            self._take(key, None, stamp)
            return
        try:
            record = read_record(key, value)
        except ValueError as error:
            _log.debug("the quota record %r is passed over: %s", key, error)
            return
        self._take(key, record, record.as_of)

    def go_live(self, heard: float | None) -> None:
        """All that was there is read. ``heard``: when a guard last said something to the table that
        this one replaces."""
        self.live = True
        self.heard = max((at for at in (heard, self.heard) if at is not None), default=None)

    def _take(
        self, key: str, record: Definition | Member | Heartbeat | None, stamp: Stamp | None
    ) -> None:
        known = self._stamps.get(key)
        if stamp is not None:
            if not stamp.replaces(known):
                return
            self._stamps[key] = stamp
            if stamp != known:
                self._hear(stamp.at)
        else:
            self._stamps.pop(key, None)
        if isinstance(record, Member):
            self.members[key] = record
        elif isinstance(record, Definition):
            self._define(key, record)
        elif record is None:
            self.members.pop(key, None)
            self._define(key, None)

    def _define(self, key: str, definition: Definition | None) -> None:
        # Replaced as a whole: another thread may be going through it.
        others = [one for one in self.definitions if one.key != key]
        if definition is not None:
            others.append(definition)
        if definition is not None or len(others) < len(self.definitions):
            self.definitions = tuple(others)

    def _hear(self, at: datetime) -> None:
        """By our own clock where it was said just now, else by how old the word is."""
        age = 0.0 if self.live else max(0.0, (self._now() - at).total_seconds())
        heard = self._clock() - age
        self.heard = heard if self.heard is None else max(self.heard, heard)
