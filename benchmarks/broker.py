"""A backlog on the embedded broker: records batched beforehand, and a reader of nothing but bytes.

The broker is the stack's own, so every measurement meets the same one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer, TopicPartition

from benchmarks.events import PARTITIONS, Usage
from schemas.topics import USAGE
from streams.kafka import consumer
from streams.settings import Settings

BATCH_BYTES = 262_144
"""What the product's own bulk producer sends at once (`streams.traffic.publish`)."""
IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class Rate:
    """``events`` in ``seconds``."""

    events: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.seconds


async def fill(settings: Settings, events: Iterable[Usage]) -> int:
    """Write the events to the usage topic; returns when the broker has all of them."""
    sender = AIOKafkaProducer(
        bootstrap_servers=settings.kafka, acks="all", max_batch_size=BATCH_BYTES
    )
    await sender.start()
    open_batches = {partition: sender.create_batch() for partition in range(PARTITIONS)}
    waiting: list[asyncio.Future[object]] = []
    count = 0
    stamp = int(time.time() * 1000)
    try:
        for event in events:
            batch = open_batches[event.partition]
            if batch.append(key=event.key, value=event.value, timestamp=stamp) is None:
                waiting.append(await sender.send_batch(batch, USAGE, partition=event.partition))
                batch = open_batches[event.partition] = sender.create_batch()
                batch.append(key=event.key, value=event.value, timestamp=stamp)
                if len(waiting) >= IN_FLIGHT:
                    await asyncio.gather(*waiting)
                    waiting.clear()
            count += 1
        for partition, batch in open_batches.items():
            if batch.record_count():
                waiting.append(await sender.send_batch(batch, USAGE, partition=partition))
        await asyncio.gather(*waiting)
    finally:
        await sender.stop()
    return count


async def read_with_getmany(settings: Settings, count: int) -> Rate:
    """How fast aiokafka alone hands the topic over, with the meter's own consumer settings.

    From the first call to the last record; connecting is not counted. Nothing is decoded.
    """
    reader = consumer(settings)
    await reader.start()
    try:
        reader.assign([TopicPartition(USAGE, partition) for partition in range(PARTITIONS)])
        seen = 0
        started = time.perf_counter()
        while seen < count:
            batches = await reader.getmany(timeout_ms=200, max_records=settings.batch_events)
            seen += sum(map(len, batches.values()))
        return Rate(seen, time.perf_counter() - started)
    finally:
        await reader.stop()
