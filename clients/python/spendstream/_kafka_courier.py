"""Delivery to Kafka: one coroutine takes events from the outbox and settles each.

Order within a key: one task hands over, the producer keeps a partition's batches in order and has
one of them in flight. Retries are the producer's; what it gives up before its time is recalled, and
handed to a new producer in the same order. A broker without idempotent producers is served as well:
a repeated batch is a duplicate by event_id, which the server drops.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from spendstream._courier import GATHER_SECONDS, Trouble, setter, words
from spendstream._outbox import Outbox, Record

_log = logging.getLogger("spendstream")

CONNECT_TIMEOUT = 5.0
"""Seconds for one attempt. A firewall that drops packets would hold up the next server."""
KNOCK_TIMEOUT_MS = 2000
"""For one server to let us in: the next one gets its turn within the attempt."""
BATCH_BYTES = 256 * 1024
"""Per partition. A full batch holds up the events behind it, so there is room for a burst."""
EVENTS_AT_A_TIME = 200
"""Handing over does not suspend by itself; acknowledgements need their turn."""
CLEAN_STOP = 0.3
"""Seconds to say goodbye to the broker once nothing is pending."""


class KafkaCourier:
    """Carries events from an outbox to a topic. ``delivery_timeout``: seconds for one batch."""

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
        self._broken = False
        self._trouble = Trouble(", ".join(f"{host}:{port}" for host, port in servers))

    async def run(self) -> None:
        """Deliver until cancelled; then give up on what is still pending."""
        wake = setter(self._more)
        try:
            while True:
                producer = await self._connected()
                try:
                    await self._deliver(producer, wake)
                finally:
                    await self._shut(producer)
                self._outbox.recall()
                await self._trouble.wait()
        finally:
            self._outbox.abandon()

    async def _deliver(self, producer: AIOKafkaProducer, wake: Callable[[], None]) -> None:
        """Hand events over, oldest first. Returns when the producer is of no more use."""
        handed_over = 0
        self._broken = False
        while not self._broken:
            self._more.clear()
            record = self._outbox.take(wake)
            if record is None:
                await self._more.wait()
                await asyncio.sleep(GATHER_SECONDS)
                continue
            try:
                acknowledged = await producer.send(self._topic, record.value, record.key)
            except KafkaError as error:
                self._failed(record, error)
            else:
                acknowledged.add_done_callback(partial(self._settle, record))
            handed_over += 1
            if handed_over % EVENTS_AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _settle(self, record: Record, acknowledged: asyncio.Future[Any]) -> None:
        if acknowledged.cancelled():
            return  # with its producer: it is recalled or abandoned
        if error := acknowledged.exception():
            self._failed(record, error)
        else:
            self._outbox.settle(record, delivered=True)
            self._trouble.over()

    def _failed(self, record: Record, error: BaseException) -> None:
        if isinstance(error, MessageSizeTooLargeError):
            if not self._outbox.stats().rejected:
                _log.warning("usage events are lost: %s", words(error))
            self._outbox.reject(record, "event_too_large")
        elif record.deadline > time.monotonic():
            self._trouble.say(words(error))
            self._broken = True
            self._more.set()
        else:
            if not self._outbox.stats().dropped_undelivered:
                _log.warning("usage events are lost: %s", words(error))
            self._outbox.settle(record, delivered=False)
            self._broken = self._broken or not isinstance(error, KafkaTimeoutError)

    async def _connected(self) -> AIOKafkaProducer:
        """A producer that knows the topic's partitions. Tries until it has one, or is cancelled."""
        while True:
            self._outbox.expire()
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    return await self._connect()
            except (OSError, KafkaError) as error:
                self._trouble.say(words(error))
            await self._trouble.wait()

    async def _connect(self) -> AIOKafkaProducer:
        await self._knock()
        producer = AIOKafkaProducer(
            bootstrap_servers=[_address(host, port) for host, port in self._servers],
            **self._access,
            client_id="spendstream-client",
            acks="all",
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
        _log.debug("while the producer was stopped: %s", words(error))


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
