"""Publishing records at a pace, keeping the order of each key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime

from aiokafka import AIOKafkaProducer

from schemas.topics import USAGE
from streams.kafka_access import client_options
from streams.settings import Settings
from streams.traffic.pace import due
from streams.traffic.records import Record

IN_FLIGHT = 5000
"""Unacknowledged records: enough to keep the broker busy, few enough to bound the memory."""


def usage_producer(settings: Settings) -> AIOKafkaProducer:
    """A producer for many small records."""
    return AIOKafkaProducer(
        **client_options(settings), acks="all", linger_ms=5, max_batch_size=262_144
    )


async def publish(
    producer: AIOKafkaProducer,
    records: Iterable[Record],
    speed: float,
    sent: Callable[[int], None],
) -> int:
    """Publish all records, ``speed`` times as fast as they happened (0: as fast as possible).

    Calls ``sent`` with the count so far; returns the number acknowledged. Raises what the producer
    raises: then some records were not taken.
    """
    started = time.monotonic()
    first_at: datetime | None = None
    count = 0
    waiting: list[asyncio.Future[object]] = []
    for record in records:
        if record.at is not None:
            first_at = first_at or record.at
            wait = due(record.at, first_at, started, speed) - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
        waiting.append(await producer.send(USAGE, record.value, key=record.key or None))
        count += 1
        if len(waiting) >= IN_FLIGHT:
            await asyncio.gather(*waiting)
            waiting.clear()
            sent(count)
        elif speed:
            sent(count)
    await asyncio.gather(*waiting)
    sent(count)
    return count
