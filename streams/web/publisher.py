"""Events into Kafka, acknowledged by every replica, with a bound on what is under way.

Not idempotent in Kafka's sense: the meter drops repeats by event_id, so a record that is there
twice counts once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.topics import USAGE
from schemas.usage import UsageEvent
from schemas.wire import encode
from streams.health import done
from streams.kafka_access import client_options
from streams.settings import Settings
from streams.web.refused import RETRY_SECONDS, RequestRefused, busy

ACK_SECONDS = 10.0
"""For Kafka to acknowledge. Producers behind proxies are cut off at 30 or 60."""
MAX_BYTES_UNDER_WAY = 67_108_864
MAX_RECORDS_UNDER_WAY = 50_000
"""Bounds of memory while Kafka is slow; at ten thousand events a second it is five seconds."""


class Publisher:
    """The producer of the web stage. To be made, started and stopped on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._producer = AIOKafkaProducer(
            **client_options(settings),
            acks="all",
            linger_ms=5,
            max_batch_size=262_144,
            request_timeout_ms=int(ACK_SECONDS * 1000),
        )
        self._since: dict[int, float] = {}
        self._turn = 0
        self.records = 0
        """Under way: handed over, not acknowledged and not failed."""
        self.bytes = 0

    async def start(self) -> None:
        """Raises KafkaError where no broker is reached."""
        await self._producer.start()

    async def stop(self) -> None:
        """Waits for what is under way."""
        await self._producer.stop()

    @property
    def silence(self) -> float | None:
        """Seconds for which the oldest request has waited; None while none waits."""
        waiting = tuple(self._since.values())
        return time.monotonic() - min(waiting) if waiting else None

    def check(self) -> None:
        """Raises RequestRefused (429) while as much is under way as may be."""
        if self.bytes >= MAX_BYTES_UNDER_WAY or self.records >= MAX_RECORDS_UNDER_WAY:
            raise busy(f"{self.records:,} events wait for Kafka already")

    async def publish(self, events: Sequence[tuple[UsageEvent, bytes]]) -> None:
        """Events and their values (`encoded`); returns when Kafka has acknowledged all of them.

        The key is the team, as the client's is: a repeat comes to the same partition, where the
        meter knows it. Raises RequestRefused: 429 and nothing is written, or 503 and some may be.
        """
        await self.append(USAGE, [(event.team, value) for event, value in events])

    async def append(self, topic: str, records: Sequence[tuple[str, bytes]]) -> None:
        """The same for any topic: keys and values."""
        if not records:
            return
        self.check()
        self._turn += 1
        turn = self._turn
        self._since[turn] = time.monotonic()
        try:
            async with asyncio.timeout(ACK_SECONDS):
                waiting = [await self._send(topic, key, value) for key, value in records]
                await asyncio.wait(waiting)
            for sent in waiting:
                sent.result()
        except (KafkaError, TimeoutError) as error:
            why = "did not acknowledge in time" if isinstance(error, TimeoutError) else repr(error)
            raise RequestRefused(
                503,
                "not_acknowledged",
                f"Kafka: {why}; some events may be written: send all again, with the same ids",
                {"Retry-After": str(RETRY_SECONDS)},
            ) from error
        finally:
            del self._since[turn]
        done("append")

    async def _send(self, topic: str, key: str, value: bytes) -> asyncio.Future[object]:
        size = len(value)
        self._count(1, size)
        try:
            future: asyncio.Future[object] = await self._producer.send(
                topic, value, key=key.encode()
            )
        except BaseException:
            self._count(-1, -size)
            raise
        future.add_done_callback(lambda ended: self._ended(ended, size))
        return future

    def _ended(self, future: asyncio.Future[object], size: int) -> None:
        self._count(-1, -size)
        if not future.cancelled():
            future.exception()  # looked at: whoever waited for it may have gone

    def _count(self, records: int, size: int) -> None:
        self.records += records
        self.bytes += size


def encoded(event: UsageEvent) -> bytes:
    """The record's value: Avro, whatever the event came in.

    One event then has one encoding, so that a repeat by another way (the Kafka client, an envelope)
    is a repeat and no conflict; and it is what the meter decodes fastest.
    """
    return encode(event)
