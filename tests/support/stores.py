"""A broker and a ClickHouse with topics and tables, and what stands in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from schemas.journal import Range, SourcePartition, decode_entry
from schemas.topics import JOURNAL, USAGE
from streams.journal.fence import Fence
from streams.journal.tail import JOURNAL_PARTITION
from streams.kafka import consumer, end_offsets
from streams.settings import Settings
from streams.stack.ports import Ports
from streams.stack.stack import Stack


@asynccontextmanager
async def running_stores(folder: Path, **overrides: object) -> AsyncIterator[Settings]:
    """Settings of an embedded stack without stages, on free ports."""
    stack = Stack(folder, Ports.free(), **overrides)
    try:
        await stack.start_stores()
        yield stack.settings
    finally:
        await stack.stop()


async def publish_usage(settings: Settings, values: Iterable[bytes], partition: int = 0) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all")
    await producer.start()
    try:
        sent = [await producer.send(USAGE, value, partition=partition) for value in values]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


@dataclass(frozen=True)
class Journal:
    """What every reader of the journal comes to."""

    accepted: tuple[Range, ...]
    dropped: tuple[Range, ...]
    calls: int

    def covered(self, partition: SourcePartition) -> list[tuple[int, int]]:
        return [(r.start, r.through) for r in self.accepted if r.key == partition]

    def events(self) -> int:
        return sum(r.events for r in self.accepted)


async def read_journal(settings: Settings) -> Journal:
    """Everything in the journal, through the fence."""
    fence = Fence()
    accepted: list[Range] = []
    dropped: list[Range] = []
    calls = 0
    reader = consumer(settings)
    await reader.start()
    try:
        reader.assign([JOURNAL_PARTITION])
        end = (await end_offsets(reader, [JOURNAL_PARTITION]))[JOURNAL_PARTITION]
        reader.seek(JOURNAL_PARTITION, 0)
        while await reader.position(TopicPartition(JOURNAL, 0)) < end:
            for records in (await reader.getmany(timeout_ms=200)).values():
                for record in records:
                    entry = decode_entry(record.headers, record.value)
                    counted = fence.counted(entry, record.offset)
                    accepted += counted.ranges
                    dropped += [r for r in entry.ranges if r not in counted.ranges]
                    calls += sum(counted.rows["calls"].to_pylist())
    finally:
        await reader.stop()
    return Journal(tuple(accepted), tuple(dropped), calls)
