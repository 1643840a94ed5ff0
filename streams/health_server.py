"""`/healthz`, `/readyz` and `/metrics` of a stage, from a thread of its own.

A stage whose event loop is blocked cannot answer for itself; a thread can, and says that it is
stuck. A process that is stopped does not answer at all, which every probe takes for the same.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import json
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiokafka.errors import KafkaError
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from schemas.errors import UserError
from streams.health import Answer, Health, apart
from streams.journal.tail import JOURNAL_PARTITION
from streams.kafka import consumer
from streams.metrics import LAG, QUEUED, READY, STEP_AGE, registry_of
from streams.settings import Settings

log = logging.getLogger(__name__)

Body = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""What runs until the event is set."""

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 5.0
"""A broker that takes longer is away, to those who wait for it."""
REQUEST_SECONDS = 5.0
"""A probe that hangs must not hold a thread for ever."""


@contextmanager
def serving(health: Health, host: str, port: int | None) -> Iterator[int | None]:
    """Answer at this address until the block ends; nowhere without a port. Port 0 finds one.

    Raises UserError where it cannot be listened on.
    """
    if port is None:
        yield None
        return
    handler = functools.partial(_Handler, _Routes(health))
    try:
        server = _Server((host, port), handler)
    except OSError as error:
        right = "PORT to a free port" if error.errno == errno.EADDRINUSE else "HOST to one of ours"
        raise UserError(
            f"{host}:{port}: {error.strerror or error}; set SPENDSTREAM_HEALTH_{right}"
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def excusing(health: Health, settings: Settings, run: Body) -> Body:
    """``run``, and beside it a `watch` for the broker."""

    async def body(stop: asyncio.Event) -> None:
        watching = apart(watch(health, settings))
        watching.add_done_callback(_report_failure)
        try:
            await run(stop)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    return body


async def watch(health: Health, settings: Settings) -> None:
    """Excuse whoever is silent while the broker does not answer: it is away, nobody is stuck."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if health.anybody_is_late() and not await _broker_answers(health, settings):
            health.excuse()


async def _broker_answers(health: Health, settings: Settings) -> bool:
    """True where the leaders of the journal and of what is assigned tell where their logs end."""
    reader = consumer(settings)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await reader.start()
            await reader.end_offsets([JOURNAL_PARTITION, *health.status().behind.lag])
    except (KafkaError, ConnectionError, TimeoutError) as error:
        log.info("the broker does not answer: %r", error)
        return False
    finally:
        await reader.stop()
    return True


def _report_failure(watching: asyncio.Task[None]) -> None:
    if not watching.cancelled() and (error := watching.exception()) is not None:
        log.error("nobody looks whether the broker answers any more", exc_info=error)


class _Routes:
    """What each path answers."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._registry = registry_of(health.stage)
        self._turn = threading.Lock()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        match path.partition("?")[0]:
            case "/healthz":
                return _json(self._health.alive())
            case "/readyz":
                return _json(self._health.ready())
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, self._metrics()
            case _:
                return _json((404, {"error": "there are /healthz, /readyz and /metrics"}))

    def _metrics(self) -> bytes:
        with self._turn:  # two scrapes at once must not see each other's half of the gauges
            observe(self._health)
            return generate_latest(self._registry)


def observe(health: Health) -> None:
    """Set the gauges that stand for a moment."""
    status, (code, _) = health.status(), health.ready()
    READY.set(code == 200)
    for gauge in (LAG, QUEUED, STEP_AGE):
        gauge.clear()
    for tp, lag in status.behind.lag.items():
        if lag is not None:
            LAG.labels(tp.topic, str(tp.partition)).set(lag)
    for queue, count in status.queued.items():
        QUEUED.labels(queue).set(count)
    for step, age in health.ages(status).items():
        STEP_AGE.labels(step).set(age)


def _json(answer: Answer) -> tuple[int, str, bytes]:
    status, body = answer
    return status, "application/json", json.dumps(body).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Without looking up the host's name, which takes seconds where there is no DNS."""
        socketserver.TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_SECONDS

    def __init__(self, routes: _Routes, *args: Any) -> None:
        self._routes = routes
        super().__init__(*args)

    def do_GET(self) -> None:
        status, content_type, body = self._routes.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """A probe every few seconds is not news."""
