"""What both emitters share: from the caller's words to a record in the outbox."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Unpack

from spendstream._avro import encode
from spendstream._courier import Courier
from spendstream._event import completed, resolved_defaults, void_of
from spendstream._fields import UsageFields
from spendstream._outbox import Outbox
from spendstream._rules import InvalidUsage, check, check_size
from spendstream._security import Security
from spendstream._stats import Stats
from spendstream._url import kafka_servers
from spendstream._worker import Worker

_log = logging.getLogger("spendstream")

CLOSE_TIMEOUT = 5.0
"""Seconds that closing waits by default: short of what supervisors grant before they kill."""
STOP_GRACE = 0.5
"""Seconds beyond the caller's timeout in which the connections are closed."""


class Meter:
    """Validates, encodes and queues usage events; its worker delivers them.

    Thread-safe: any thread may call any method. Raises ValueError where ``url``, ``security``,
    ``defaults``, ``max_pending`` or ``delivery_timeout`` is wrong, and nothing on account of the
    broker.

    ``url``: ``kafka://host:port[,host:port]``. ``security``: for a broker that demands TLS or a
    user; by default what ``SPENDSTREAM_KAFKA_*`` in the environment says. ``defaults``: fields that
    an event takes where it does not say them. ``max_pending``: events held at most.
    ``delivery_timeout``: seconds for which an event may wait. ``strict``: raise InvalidUsage for an
    invalid event, instead of counting it and logging the reason once.
    """

    def __init__(
        self,
        url: str,
        *,
        security: Security | None = None,
        topic: str = "llm.usage",
        defaults: Mapping[str, Any] | None = None,
        max_pending: int = 10_000,
        delivery_timeout: float = 30.0,
        strict: bool = False,
    ) -> None:
        servers = kafka_servers(url)
        access = (security or Security.from_environment(os.environ)).options()
        if max_pending < 1:
            raise ValueError(f"max_pending is {max_pending}; at least 1 event must be held")
        if not 0 < delivery_timeout <= 3600:
            raise ValueError(
                f"delivery_timeout is {delivery_timeout}; seconds, above 0 and at most 3600"
            )
        self._defaults = resolved_defaults(defaults, os.environ)
        self._strict = strict
        self._reasons_logged: set[tuple[str, str]] = set()
        self._outbox = Outbox(max_pending, delivery_timeout)
        courier = Courier(servers, access, topic, self._outbox, delivery_timeout)
        self._worker = Worker(courier, self._outbox)
        self._stopped = False
        atexit.register(self._close)

    def emit(self, **fields: Unpack[UsageFields]) -> str | None:
        """Queue one call's usage, in microseconds; the event_id, or None if it was not queued.

        Fields left out come from the defaults; event_id is a fresh UUID (version 7), occurred_at
        now, usage_source ``reported`` where a token bucket is given and else ``missing``.
        """
        return self._accept(lambda: fields)

    def emit_void(self, original: Mapping[str, Any]) -> str | None:
        """Take an event back: queue a void that repeats the fields of ``original``.

        ``original`` says at least the event_id and the occurred_at. Returns ``void:<event_id>``,
        or None if it was not queued.
        """
        return self._accept(lambda: void_of(original))

    @property
    def stats(self) -> Stats:
        """The counts so far, taken at one moment."""
        return self._outbox.stats()

    def _accept(self, fields: Callable[[], Mapping[str, Any]]) -> str | None:
        try:
            event = completed(fields(), self._defaults)
            check(event)
            key, value = event["team"].encode(), encode(event)
            check_size(value)
        except InvalidUsage as error:
            self._outbox.refuse()
            if self._strict:
                raise
            self._log_once(error)
            return None
        except Exception:
            # Metering must not break the call that is metered, not even by a mistake of ours.
            self._outbox.refuse()
            if self._strict:
                raise
            _log.exception("a usage event could not be encoded")
            return None
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
        self._worker.stop(STOP_GRACE)
        stats = self._outbox.stats()
        lost = stats.dropped_full + stats.dropped_undelivered
        if lost and not self._stopped:
            _log.warning("%d of %d usage events were not delivered", lost, stats.emitted)
        self._stopped = True
        return stats
