"""The outbox with a spool: what `offer` took is on disk, and a part of it also in memory.

The queue, oldest first: what was read into memory (``_waiting``), what is only on disk, and what
the disk would not take (``_overflow``), which goes there as soon as it does.
"""

from __future__ import annotations

import os
import time
from collections import deque

from spendstream._frames import framed
from spendstream._outbox import Fate, Outbox, Record
from spendstream._spool import Spool, SpoolFull

WINDOW = 2_000
"""Events in memory at most, unless the disk takes none: the rest is read when its turn comes."""
RETRY_SECONDS = 1.0
"""Between two tries to write what the disk would not take."""


class SpooledOutbox(Outbox):
    """Events wait in ``spool`` for as long as it takes, and in memory where it cannot be written.

    ``max_pending`` bounds what is in memory.
    """

    needs_tending = True

    def __init__(self, max_pending: int, spool: Spool) -> None:
        super().__init__(max_pending, float("inf"))
        self._window = min(max_pending, WINDOW)
        self._spool = spool
        self._unread = 0
        self._recovered_held = 0
        self._overflow: deque[tuple[bytes, bytes]] = deque()
        self._retry_at = 0.0
        self._busy = self._warned = False

    def recover(self) -> None:
        """Adopt what processes that have ended left in the spool."""
        with self._lock:
            try:
                problems = self._spool.adopt()
            except OSError as error:
                problems = [error]
            self._unsaid += [f"cannot take up spooled usage events: {one}" for one in problems]
        self._speak()

    def abandon(self) -> None:
        """Take no more events, and leave what is pending in the spool for the next emitter."""
        with self._lock:
            self._retry_at = 0.0
            self._respool()
            super().abandon()
            self._counts[Fate.SPOOLED] += self._unread
            self._counts[Fate.UNDELIVERED] += len(self._overflow)
            self._unread = 0
            self._overflow.clear()
            self._spool.close()
            flushes, self._flushes = self._flushes, []
            for flush in flushes:
                flush.acknowledged = False
                flush.done()

    def forsake(self) -> None:
        """Leave everything to the process that this one was forked from."""
        self._spool.forsake()

    def tend(self) -> None:
        """Bring what was written to the disk itself, and what could not be written to the file."""
        with self._lock:
            self._respool()
            descriptors = self._spool.to_sync()
        for descriptor in descriptors:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _queue(self, key: bytes, value: bytes) -> bool:
        # Busy: a signal handler or a destructor emits, and has interrupted its own thread here.
        if self._busy or not self._respool():
            return self._keep_in_memory(key, value)
        self._busy = True
        try:
            return self._write(key, value)
        except SpoolFull:
            return False
        except OSError as error:
            self._warn(error)
            return self._keep_in_memory(key, value)
        finally:
            self._busy = False

    def _write(self, key: bytes, value: bytes) -> bool:
        at_once = not self._unread and self._held() < self._window and self._spool.all_read
        place = self._spool.append(framed(key, value), hand_out=at_once)
        if place is None:
            self._unread += 1
        else:
            self._enter(key, value, place=place)
        return True

    def _keep_in_memory(self, key: bytes, value: bytes) -> bool:
        if self._held() + len(self._overflow) >= self._max_pending:
            return False
        self._overflow.append((key, value))
        return True

    def _respool(self) -> bool:
        """Write what the disk would not take before. True where nothing of it is left."""
        if not self._overflow:
            return True
        now = time.monotonic()
        if now < self._retry_at or self._busy:
            return False
        self._busy = True
        try:
            while self._overflow:
                self._spool.append(framed(*self._overflow[0]), hand_out=False)
                self._overflow.popleft()
                self._unread += 1
        except (OSError, SpoolFull):
            self._retry_at = now + RETRY_SECONDS
            return False
        finally:
            self._busy = False
        return True

    def _warn(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if not self._warned:
            self._warned = True
            self._unsaid.append(
                f"usage events wait in memory, not in the spool {self._spool.path}: "
                f"{error.strerror or error}"
            )

    def _refill(self) -> None:
        if self._held() >= self._window:
            return
        try:
            self._read()
        except OSError as error:
            self._unsaid.append(f"cannot read spooled usage events: {error}")
        if not self._waiting and not self._unread and self._spool.all_read:
            while self._overflow and len(self._waiting) < self._window:
                self._enter(*self._overflow.popleft())
        self._check_flushes()

    def _read(self) -> None:
        for place, key, value in self._spool.read():
            if self._spool.is_own(place):
                self._unread -= 1
                self._enter(key, value, place=place)
            else:
                self._recovered += 1
                self._recovered_held += 1
                self._waiting.append(Record(0, key, value, place=place))
        if self._unread and self._spool.own_read:
            self._lost(self._unread)

    def _lost(self, damaged: int) -> None:
        """Count events of ours that are in the spool no more, or not whole."""
        self._unsaid.append(f"{damaged} usage events are lost: the spool was damaged or removed")
        self._unread = 0
        for _ in range(damaged):
            self._entered += 1
            self._count(Record(self._entered, b"", b""), Fate.UNDELIVERED)

    def _settle(self, record: Record, fate: Fate) -> bool:
        settled = super()._settle(record, fate)
        # The courier waits for an offer; room for what is on disk is news to it as well.
        if settled and self._wake is not None:
            with self._lock:
                more = self._unread or self._overflow or not self._spool.all_read
                wake = None
                if more:
                    wake, self._wake = self._wake, None
            if wake is not None:
                wake()
        return settled

    def _count(self, record: Record, fate: Fate) -> None:
        if record.number == 0:
            self._recovered_held -= 1
        if record.place is not None and fate is not Fate.SPOOLED:
            self._spool.settle(record.place)
        super()._count(record, fate)

    def _recovering(self) -> bool:
        return self._spool.recovering

    def _fullness(self) -> str:
        if self._overflow:
            return super()._fullness()
        return f"the spool {self._spool.path} holds {self._spool.limit:,} bytes"

    def _pending(self) -> int:
        return self._held() + self._unread + len(self._overflow)

    def _own_pending(self) -> int:
        return self._pending() - self._recovered_held
