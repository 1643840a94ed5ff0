"""The bounded queue between the callers and the delivery, and the count of every event's fate.

Any thread may offer; one courier takes and settles. Every event offered is settled exactly once,
which is the law of `Stats`. `SpooledOutbox` extends the queue to the disk.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from spendstream._stats import Stats

if TYPE_CHECKING:  # the spool does not exist on every system
    from spendstream._spool_folder import Place

_log = logging.getLogger("spendstream")

MAX_REASONS = 100
"""Codes counted one by one; a server that invents codes does not fill the memory."""


class Fate(Enum):
    """What becomes of an event in the end."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    REJECTED = "rejected"
    SPOOLED = "spooled"


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One event on its way. ``deadline`` is on the monotonic clock, in seconds.

    ``number`` is its place in the queue, 0 for events of an earlier process. ``place`` is where the
    spool has it, None where only memory does.
    """

    number: int
    key: bytes
    value: bytes
    deadline: float = math.inf
    place: Place | None = None


@dataclass(slots=True, eq=False)
class Flush:
    """Someone waits for the first ``through`` events; ``left`` of them are not settled yet."""

    through: int
    left: int
    done: Callable[[], object]
    acknowledged: bool = True


class Outbox:
    """At most ``max_pending`` events, waiting or on their way, each for ``delivery_timeout`` s."""

    needs_tending = False
    """Whether `tend` does anything."""

    def __init__(self, max_pending: int, delivery_timeout: float) -> None:
        self._max_pending = max_pending
        self._delivery_timeout = delivery_timeout
        # Reentrant: a destructor or a signal handler that emits may interrupt its own thread here.
        self._lock = threading.RLock()
        self._waiting: deque[Record] = deque()
        self._on_their_way: dict[Record, None] = {}
        self._flushes: list[Flush] = []
        self._wake: Callable[[], object] | None = None
        self._closed = False
        self._counts: Counter[Fate] = Counter()
        self._reasons: Counter[str] = Counter()
        self._emitted = self._recovered = self._refused = self._dropped_full = 0
        self._queued = self._entered = 0
        self._unsaid: list[str] = []

    def offer(self, key: bytes, value: bytes) -> bool:
        """Queue an event, or drop and count it. Never blocks for longer than a lock is held."""
        wake = None
        with self._lock:
            self._emitted += 1
            if self._closed:
                self._counts[Fate.UNDELIVERED] += 1
                return False
            queued = self._queue(key, value)
            if queued:
                self._queued += 1
                wake, self._wake = self._wake, None
            else:
                self._dropped_full += 1
                if self._dropped_full == 1:
                    self._unsaid.append(f"dropping usage events: {self._fullness()} already")
        # Outside the lock: a log handler and the loop's socket may be slow.
        if self._unsaid:
            self._speak()
        if wake is not None:
            wake()
        return queued

    def refuse(self, code: str = "invalid") -> None:
        """Count an event that breaks a rule."""
        with self._lock:
            self._refused += 1
            self._note_reason(code)

    def take(self, wake: Callable[[], object]) -> Record | None:
        """The next event to send. None where there is none; then the next offer calls ``wake``."""
        with self._lock:
            self._expire()
            if not self._waiting:
                self._refill()
            record = self._waiting.popleft() if self._waiting else None
            if record is None:
                self._wake = wake
            else:
                self._on_their_way[record] = None
        if self._unsaid:
            self._speak()
        return record

    def settle(self, record: Record, *, delivered: bool) -> None:
        """Say what became of an event that was taken. Without effect after `abandon`."""
        self._settle(record, Fate.DELIVERED if delivered else Fate.UNDELIVERED)

    def reject(self, record: Record, code: str) -> None:
        """Say that an event that was taken will never be accepted, and by which rule."""
        if self._settle(record, Fate.REJECTED):
            with self._lock:
                self._note_reason(code)

    def recall(self) -> None:
        """Put back what is on its way: it waits again, in its order and for its time."""
        with self._lock:
            # New records: what is still said of the old ones is about a try that is over.
            back = [replace(record) for record in self._on_their_way]
            self._on_their_way.clear()
            self._waiting.extendleft(reversed(back))

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
                self._count(record, Fate.UNDELIVERED if record.place is None else Fate.SPOOLED)

    def flush(self, done: Callable[[], object]) -> Flush:
        """Call ``done`` once every event queued so far is settled: at once, if all are."""
        with self._lock:
            flush = Flush(self._queued, self._own_pending(), done)
            self._flushes.append(flush)
            self._check_flushes()
            return flush

    def stats(self) -> Stats:
        """The counts, taken at one moment."""
        with self._lock:
            return Stats(
                emitted=self._emitted,
                delivered=self._counts[Fate.DELIVERED],
                dropped_full=self._dropped_full,
                dropped_undelivered=self._counts[Fate.UNDELIVERED],
                refused=self._refused,
                pending=self._pending(),
                rejected=self._counts[Fate.REJECTED],
                recovered=self._recovered,
                spooled=self._counts[Fate.SPOOLED],
                reasons=dict(self._reasons),
            )

    def hold(self) -> None:
        """Keep every thread out until `release`: for a fork."""
        self._lock.acquire()

    def release(self) -> None:
        """Let them in again."""
        self._lock.release()

    def recover(self) -> None:
        """Take up what earlier processes left behind, where anything of them is kept."""

    def forsake(self) -> None:
        """Leave everything to the process that this one was forked from."""

    def tend(self) -> None:
        """What is to be done every second or so."""

    def _queue(self, key: bytes, value: bytes) -> bool:
        """Put an event into the queue; False where that is full. Under the lock."""
        if self._held() >= self._max_pending:
            return False
        self._enter(key, value, time.monotonic() + self._delivery_timeout)
        return True

    def _enter(
        self, key: bytes, value: bytes, deadline: float = math.inf, place: Place | None = None
    ) -> None:
        """An event of our own comes into memory, which it does once and in the queue's order."""
        self._entered += 1
        self._waiting.append(Record(self._entered, key, value, deadline, place))

    def _refill(self) -> None:
        """Bring more events into memory, where they wait elsewhere. Under the lock."""

    def _recovering(self) -> bool:
        """Whether events of earlier processes are not settled yet."""
        return False

    def _fullness(self) -> str:
        return f"{self._max_pending} are waiting"

    def _held(self) -> int:
        return len(self._waiting) + len(self._on_their_way)

    def _pending(self) -> int:
        return self._held()

    def _own_pending(self) -> int:
        return self._pending()

    def _expire(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0].deadline <= now:
            self._count(self._waiting.popleft(), Fate.UNDELIVERED)

    def _settle(self, record: Record, fate: Fate) -> bool:
        with self._lock:
            if record not in self._on_their_way:
                return False
            del self._on_their_way[record]
            self._count(record, fate)
            return True

    def _count(self, record: Record, fate: Fate) -> None:
        self._counts[fate] += 1
        if self._flushes:
            for flush in self._flushes:
                if 0 < record.number <= flush.through:
                    flush.left -= 1
                    flush.acknowledged = flush.acknowledged and fate is Fate.DELIVERED
            self._check_flushes()

    def _check_flushes(self) -> None:
        if self._recovering():
            return
        for flush in self._flushes:
            if not flush.left:
                flush.done()
        self._flushes = [flush for flush in self._flushes if flush.left]

    def _note_reason(self, code: str) -> None:
        known = code in self._reasons or len(self._reasons) < MAX_REASONS
        self._reasons[code if known else "other"] += 1

    def _speak(self) -> None:
        with self._lock:
            unsaid, self._unsaid = self._unsaid, []
        for text in unsaid:
            _log.warning("%s", text)
