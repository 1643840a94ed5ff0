"""What both emitters share: from the caller's words to a record in the outbox."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from spendstream._attribution import current_attribution
from spendstream._avro import encode
from spendstream._event import completed, resolved_defaults, void_of
from spendstream._fields import UsageFields
from spendstream._forks import watch
from spendstream._outbox import Outbox
from spendstream._rules import InvalidUsage, check, check_size
from spendstream._security import Security
from spendstream._stats import Stats
from spendstream._transport import courier_maker
from spendstream._worker import Worker

_log = logging.getLogger("spendstream")

CLOSE_TIMEOUT = 5.0
"""Seconds that closing waits by default: short of what supervisors grant before they kill."""
STOP_GRACE = 0.5
"""Seconds beyond the caller's timeout in which the connections are closed."""
SPOOL_BYTES = 256 * 1024 * 1024
LEAST_SPOOL_BYTES = 1024 * 1024
"""One segment of the spool."""
SPOOL_VARIABLE = "SPENDSTREAM_SPOOL"


class Meter:
    """Validates, encodes and queues usage events; its worker delivers them.

    Thread-safe: any thread may call any method. Works on after a fork, in parent and child. Raises
    ValueError where an option is wrong, and nothing on account of the broker, server or disk.

    ``url``: ``kafka://host:port[,host:port]``, or ``http(s)://host[:port][/base]``, to which
    ``/v1/events`` is added. ``security``: for a broker that demands TLS or a user; by default what
    ``SPENDSTREAM_KAFKA_*`` in the environment says. ``topic``: of Kafka, ``llm.usage`` by default.
    ``token``: for HTTP, by default ``SPENDSTREAM_TOKEN``. ``defaults``: fields that an event takes
    where it does not say them. ``max_pending``: events held in memory at most.
    ``delivery_timeout``: seconds for which an event may wait, unless there is a spool. ``spool``:
    folder in which events wait, by default ``SPENDSTREAM_SPOOL``, or memory where that says
    nothing. ``spool_bytes``: what all processes that share the folder may have in it. ``strict``:
    raise InvalidUsage for an invalid event, instead of counting it and logging the reason once.
    """

    def __init__(
        self,
        url: str,
        *,
        security: Security | None = None,
        topic: str | None = None,
        token: str | None = None,
        defaults: Mapping[str, Any] | None = None,
        max_pending: int = 10_000,
        delivery_timeout: float = 30.0,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = SPOOL_BYTES,
        strict: bool = False,
    ) -> None:
        if max_pending < 1:
            raise ValueError(f"max_pending is {max_pending}; at least 1 event must be held")
        if not 0 < delivery_timeout <= 3600:
            raise ValueError(
                f"delivery_timeout is {delivery_timeout}; seconds, above 0 and at most 3600"
            )
        if spool_bytes < LEAST_SPOOL_BYTES:
            raise ValueError(f"spool_bytes is {spool_bytes}; at least {LEAST_SPOOL_BYTES} are used")
        self._make_courier = courier_maker(
            url,
            security=security,
            topic=topic,
            token=token,
            delivery_timeout=delivery_timeout,
        )
        self._defaults = resolved_defaults(defaults, os.environ)
        self._strict = strict
        self._reasons_logged: set[tuple[str, str]] = set()
        self._max_pending = max_pending
        self._delivery_timeout = delivery_timeout
        folder = spool or os.environ.get(SPOOL_VARIABLE, "").strip()
        self._spool = Path(folder) if folder else None
        self._spool_bytes = spool_bytes
        self._outbox = self._new_outbox()
        self._starting = threading.RLock()
        self._worker: Worker | None = None
        self._stopped = False
        atexit.register(self._close)
        watch(self)
        self._start()

    def emit(self, **fields: Unpack[UsageFields]) -> str | None:
        """Queue one call's usage, in microseconds; the event_id, or None if it was not queued.

        Fields left out come from the `attribution` around the call, then from the defaults;
        event_id is a fresh UUID (version 7), occurred_at now, usage_source ``reported`` where a
        token bucket is given and else ``missing``.
        """
        return self._accept(fields, current_attribution())

    def emit_void(self, original: Mapping[str, Any]) -> str | None:
        """Take an event back: queue a void that repeats the fields of ``original``.

        ``original`` says at least the event_id and the occurred_at. Returns ``void:<event_id>``,
        or None if it was not queued.
        """
        return self._accept(original, None)

    @property
    def stats(self) -> Stats:
        """The counts so far, taken at one moment."""
        return self._outbox.stats()

    def report(self) -> str:
        """The counts so far in one sentence, such as ``all 1,204 usage events were delivered``."""
        return str(self.stats)

    def _accept(self, said: Mapping[str, Any], context: Mapping[str, Any] | None) -> str | None:
        """``context`` is None for a void of what is said."""
        try:
            if context is None:
                event = completed(void_of(said), self._defaults)
            else:
                event = completed(said, self._defaults, context)
            check(event)
            key, value = event["team"].encode(), encode(event)
            check_size(value)
        except InvalidUsage as error:
            self._outbox.refuse(error.code)
            if self._strict:
                raise
            self._log_once(error)
            return None
        except Exception:
            # Metering must not break the call that is metered, not even by a mistake of ours.
            self._outbox.refuse("not_encoded")
            if self._strict:
                raise
            _log.exception("a usage event could not be encoded")
            return None
        if self._worker is None:
            self._start()
        event_id: str = event["event_id"]
        return event_id if self._outbox.offer(key, value) else None

    def _log_once(self, error: InvalidUsage) -> None:
        reason = (error.code, error.field)
        if reason not in self._reasons_logged:
            self._reasons_logged.add(reason)
            _log.warning("usage event refused: %s (further ones are only counted)", error)

    def _flush(self, timeout: float) -> bool:
        settled = threading.Event()
        flush = self._outbox.flush(settled.set)
        return settled.wait(timeout) and flush.acknowledged

    def _close(self, timeout: float = CLOSE_TIMEOUT) -> Stats:
        self._outbox.close()
        self._flush(timeout)
        return self._stop()

    def _stop(self) -> Stats:
        """End the delivery, give up on what is pending, and say so in the log."""
        atexit.unregister(self._close)
        if self._worker is not None:
            self._worker.stop(STOP_GRACE)
        self._outbox.abandon()
        stats = self._outbox.stats()
        lost = stats.dropped_full + stats.dropped_undelivered + stats.rejected
        if not self._stopped:
            if lost:
                _log.warning("%s", stats)
            elif stats.spooled:
                _log.info("%s", stats)
        self._stopped = True
        return stats

    def _new_outbox(self) -> Outbox:
        if self._spool is None:
            return Outbox(self._max_pending, self._delivery_timeout)
        try:
            from spendstream._spool import Spool
            from spendstream._spooled_outbox import SpooledOutbox
        except ImportError:
            raise ValueError("spool: this system has no flock, which a spool needs") from None
        return SpooledOutbox(self._max_pending, Spool(self._spool, self._spool_bytes))

    def _start(self) -> None:
        """Start the worker, in the process that made the emitter or in a child that emits."""
        with self._starting:
            if self._worker is not None or self._stopped:
                return
            self._outbox.recover()
            self._worker = Worker(self._make_courier(self._outbox), self._outbox)
            processes = sys.modules.get("multiprocessing.process")
            if processes is not None and processes.parent_process() is not None:
                # Such a process ends without atexit. No type: the class is not documented.
                from multiprocessing.util import Finalize

                Finalize(None, self._close, exitpriority=0)

    def _hold(self) -> None:
        self._starting.acquire()
        self._outbox.hold()

    def _release(self) -> None:
        self._outbox.release()
        self._starting.release()

    def _start_anew(self) -> None:
        """In a child after a fork: nothing of the parent's is ours, and nothing runs yet."""
        self._outbox.forsake()
        if self._worker is not None:
            self._worker.forsake()
        self._worker = None
        self._starting = threading.RLock()
        self._reasons_logged = set()
        self._outbox = self._new_outbox()
        if self._stopped:
            self._outbox.close()
