"""Delivery to Kafka: one coroutine takes events from the outbox and settles each.

Order within a key: one task hands over, the producer keeps a partition's batches in order and has
one of them in flight. Retries are the producer's. A broker without idempotent producers is served
as well: a repeated batch is a duplicate by event_id, which the server drops.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from spendstream._outbox import Outbox, Record

_log = logging.getLogger("spendstream")

CONNECT_TIMEOUT = 5.0
"""Seconds for one attempt. A firewall that drops packets would hold up the next server."""
KNOCK_TIMEOUT_MS = 2000
"""For one server to let us in: the next one gets its turn within the attempt."""
FIRST_BACKOFF = 0.1
MAX_BACKOFF = 2.0
"""Seconds between attempts: a broker that is back is noticed soon, one that is away is not hammered
by every service."""
LINGER_MS = 5
BATCH_BYTES = 256 * 1024
"""Per partition. A full batch holds up the events behind it, so there is room for a burst."""
EVENTS_AT_A_TIME = 200
"""Handing over does not suspend by itself; acknowledgements need their turn."""
CLEAN_STOP = 0.3
"""Seconds to say goodbye to the broker once nothing is pending."""


class Courier:
    """Carries events from an outbox to a topic. Runs on a loop that is its own (see `Worker`)."""

    def __init__(
        self,
        servers: tuple[tuple[str, int], ...],
        access: Mapping[str, Any],
        topic: str,
        outbox: Outbox,
        delivery_timeout: float,
    ) -> None:
        self._servers = servers
        self._access = access
        self._topic = topic
        self._outbox = outbox
        self._delivery_timeout = delivery_timeout
        self._more = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled; then give up on what is still pending."""
        wake = partial(_set_from_any_thread, asyncio.get_running_loop(), self._more)
        try:
            while True:
                producer = await self._connected()
                try:
                    await self._deliver(producer, wake)
                finally:
                    await self._shut(producer)
        finally:
            self._outbox.abandon()

    async def _deliver(self, producer: AIOKafkaProducer, wake: partial[None]) -> None:
        """Hand events over, oldest first. Returns when the producer is of no more use."""
        handed_over = 0
        while True:
            self._more.clear()
            record = self._outbox.take(wake)
            if record is None:
                await self._more.wait()
                continue
            try:
                acknowledged = await producer.send(self._topic, record.value, record.key)
            except (KafkaTimeoutError, MessageSizeTooLargeError) as error:
                self._lost(record, error)
            except KafkaError as error:
                self._lost(record, error)
                return
            else:
                acknowledged.add_done_callback(partial(self._settle, record))
            handed_over += 1
            if handed_over % EVENTS_AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _settle(self, record: Record, acknowledged: asyncio.Future[Any]) -> None:
        if acknowledged.cancelled():
            self._outbox.settle(record, delivered=False)
        elif error := acknowledged.exception():
            self._lost(record, error)
        else:
            self._outbox.settle(record, delivered=True)

    def _lost(self, record: Record, error: BaseException) -> None:
        if not self._outbox.stats().dropped_undelivered:
            _log.warning("usage events are lost: %s", _words(error))
        self._outbox.settle(record, delivered=False)

    async def _connected(self) -> AIOKafkaProducer:
        """A producer that knows the topic's partitions. Tries until it has one, or is cancelled."""
        backoff = FIRST_BACKOFF
        failed = False
        while True:
            self._outbox.expire()
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    producer = await self._connect()
            except (OSError, KafkaError) as error:
                if not failed:
                    _log.warning(
                        "cannot send usage events to %s yet, trying on: %s",
                        ", ".join(f"{host}:{port}" for host, port in self._servers),
                        _words(error),
                    )
                failed = True
            else:
                if failed:
                    _log.info("connected; usage events are being sent")
                return producer
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF)

    async def _connect(self) -> AIOKafkaProducer:
        await self._knock()
        producer = AIOKafkaProducer(
            bootstrap_servers=[_address(host, port) for host, port in self._servers],
            **self._access,
            client_id="spendstream-client",
            acks="all",
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES,
            # Also how long the producer retries a batch, counted from its first event.
            request_timeout_ms=max(1, round(self._delivery_timeout * 1000)),
        )
        try:
            await producer.start()
            await producer.partitions_for(self._topic)
        except BaseException:
            await self._shut(producer)
            raise
        return producer

    async def _knock(self) -> None:
        """Raise OSError or KafkaError unless a server lets us in.

        aiokafka's producer logs every attempt as an error, and does not say why it failed.
        """
        for number, (host, port) in enumerate(self._servers, start=1):
            try:
                await self._let_in(host, port)
            except (OSError, KafkaError):
                if number == len(self._servers):
                    raise
            else:
                return

    async def _let_in(self, host: str, port: int) -> None:
        if self._access["security_protocol"] != "PLAINTEXT":
            connection = await create_conn(
                host, port, request_timeout_ms=KNOCK_TIMEOUT_MS, **self._access
            )
            await connection.close()
            return
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        with contextlib.suppress(OSError):  # it has answered, which is all that was asked
            await writer.wait_closed()

    async def _shut(self, producer: AIOKafkaProducer) -> None:
        """Stop a producer without waiting for what it cannot deliver (`stop` alone would)."""
        clean = CLEAN_STOP if not self._outbox.stats().pending else 0
        await _within(clean, producer.stop())
        await _within(CLEAN_STOP, producer.client.close())
        # The loop is ours, so every other task on it is the producer's.
        strays = asyncio.all_tasks() - {asyncio.current_task()}
        for task in strays:
            task.cancel()
        if strays:
            await asyncio.wait(strays, timeout=CLEAN_STOP)


async def _within(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        task.cancel()
    elif not task.cancelled() and (error := task.exception()):
        _log.debug("while the producer was stopped: %s", _words(error))


def _set_from_any_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it counted every event
        loop.call_soon_threadsafe(event.set)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _words(error: BaseException) -> str:
    text = str(error)
    cause = f" ({error.__cause__})" if error.__cause__ else ""
    return f"{type(error).__name__}: {text}{cause}" if text else type(error).__name__
