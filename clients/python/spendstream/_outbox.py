"""The bounded queue between the callers and the delivery, and the count of every event's fate.

Any thread may offer; one courier takes and settles. Every event offered is settled exactly once,
which is the law of `Stats`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from spendstream._stats import Stats

_log = logging.getLogger("spendstream")


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One event on its way. ``deadline`` is on the monotonic clock, in seconds."""

    number: int
    key: bytes
    value: bytes
    deadline: float


@dataclass(slots=True, eq=False)
class Flush:
    """Someone waits for the first ``through`` events; ``left`` of them are not settled yet."""

    through: int
    left: int
    done: Callable[[], object]
    acknowledged: bool = True


class Outbox:
    """At most ``max_pending`` events, waiting or on their way, each for ``delivery_timeout`` s."""

    def __init__(self, max_pending: int, delivery_timeout: float) -> None:
        self._max_pending = max_pending
        self._delivery_timeout = delivery_timeout
        # Reentrant: a destructor or a signal handler that emits may interrupt its own thread here.
        self._lock = threading.RLock()
        self._waiting: deque[Record] = deque()
        self._on_their_way: set[Record] = set()
        self._flushes: list[Flush] = []
        self._wake: Callable[[], object] | None = None
        self._closed = False
        self._emitted = self._delivered = self._refused = 0
        self._dropped_full = self._dropped_undelivered = 0

    def offer(self, key: bytes, value: bytes) -> bool:
        """Queue an event, or drop and count it. Never blocks for longer than a lock is held."""
        deadline = time.monotonic() + self._delivery_timeout
        with self._lock:
            self._emitted += 1
            if self._closed:
                self._dropped_undelivered += 1
                return False
            full = len(self._waiting) + len(self._on_their_way) >= self._max_pending
            if full:
                self._dropped_full += 1
                first = self._dropped_full == 1
            else:
                self._waiting.append(Record(self._emitted, key, value, deadline))
                wake, self._wake = self._wake, None
        # Outside the lock: a log handler and the loop's socket may be slow.
        if full:
            if first:
                _log.warning("dropping usage events: %d are waiting already", self._max_pending)
            return False
        if wake is not None:
            wake()
        return True

    def refuse(self) -> None:
        """Count an event that breaks a rule."""
        with self._lock:
            self._refused += 1

    def take(self, wake: Callable[[], object]) -> Record | None:
        """The next event to send. None where there is none; then the next offer calls ``wake``."""
        with self._lock:
            self._expire()
            if not self._waiting:
                self._wake = wake
                return None
            record = self._waiting.popleft()
            self._on_their_way.add(record)
            return record

    def settle(self, record: Record, *, delivered: bool) -> None:
        """Say what became of an event that was taken. Without effect after `abandon`."""
        with self._lock:
            if record in self._on_their_way:
                self._on_their_way.discard(record)
                self._count(record, delivered=delivered)

    def expire(self) -> None:
        """Give up on events that waited beyond their deadline."""
        with self._lock:
            self._expire()

    def close(self) -> None:
        """Take no more events; those that are pending stay."""
        with self._lock:
            self._closed = True

    def abandon(self) -> None:
        """Take no more events, and give up on all that are pending."""
        with self._lock:
            self._closed = True
            self._wake = None
            given_up = [*self._on_their_way, *self._waiting]
            self._on_their_way.clear()
            self._waiting.clear()
            for record in given_up:
                self._count(record, delivered=False)

    def flush(self, done: Callable[[], object]) -> Flush:
        """Call ``done`` once every event queued so far is settled: at once, if all are."""
        with self._lock:
            flush = Flush(self._emitted, len(self._waiting) + len(self._on_their_way), done)
            if flush.left:
                self._flushes.append(flush)
            else:
                done()
            return flush

    def stats(self) -> Stats:
        """The counts, taken at one moment."""
        with self._lock:
            return Stats(
                emitted=self._emitted,
                delivered=self._delivered,
                dropped_full=self._dropped_full,
                dropped_undelivered=self._dropped_undelivered,
                refused=self._refused,
                pending=len(self._waiting) + len(self._on_their_way),
            )

    def _expire(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0].deadline <= now:
            self._count(self._waiting.popleft(), delivered=False)

    def _count(self, record: Record, *, delivered: bool) -> None:
        if delivered:
            self._delivered += 1
        else:
            self._dropped_undelivered += 1
        for flush in self._flushes:
            if record.number <= flush.through:
                flush.left -= 1
                flush.acknowledged = flush.acknowledged and delivered
                if not flush.left:
                    flush.done()
        if self._flushes:
            self._flushes = [flush for flush in self._flushes if flush.left]
