"""The light records of the hot path say what aiokafka's own say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher

from schemas.topics import USAGE
from streams.kafka import consumer
from streams.settings import Settings
from streams.usage_consumer import LightRecords, Record, usage_consumer
from tests.support.stores import running_stores

pytestmark = pytest.mark.slow

TP = TopicPartition(USAGE, 0)
AIOKAFKAS_OWN = LightRecords.__base__


async def test_light_records_equal_aiokafkas_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another test may have read usage in this process before.
    monkeypatch.setattr(fetcher, "PartitionRecords", AIOKAFKAS_OWN)
    async with running_stores(tmp_path, usage_partitions=1) as settings:
        await write(settings)
        own = await read(consumer(settings))
        light = await read(usage_consumer(settings, "light"))
    assert len(own) == 300
    assert all(isinstance(record, ConsumerRecord) for record in own)
    assert all(isinstance(record, Record) for record in light)
    assert [fields(record) for record in own] == [fields(record) for record in light]


def fields(record: Record) -> tuple[object, ...]:
    headers = tuple(record.headers)
    return (
        *(record.partition, record.offset, record.timestamp),
        *(record.key, record.value, headers),
    )


async def write(settings: Settings) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, compression_type="gzip")
    await producer.start()
    try:
        sent = [
            await producer.send(
                USAGE,
                None if number % 50 == 1 else b"value %d" % number,
                key=None if number % 3 == 0 and number % 50 != 1 else b"key",
                timestamp_ms=1_700_000_000_000 + number,
                headers=[("a", b"1"), ("a", b"2")] if number % 7 == 0 else None,
            )
            for number in range(300)
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def read(reader: object) -> list[Record]:
    await reader.start()
    try:
        reader.assign([TP])
        await reader.seek_to_beginning(TP)
        records: list[Record] = []
        while len(records) < 300:
            for batch in (await reader.getmany(timeout_ms=500)).values():
                records += batch
    finally:
        await reader.stop()
    return records
