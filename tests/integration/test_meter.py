"""The meter on a real broker: restarts, rivals, and entries that somebody else has written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas.journal import ROW_SCHEMA, Range, SourcePartition, encode_rows, entry_headers
from schemas.topics import JOURNAL, USAGE
from schemas.usage import UsageEvent
from schemas.wire import encode, no_registry
from streams.kafka import cluster_id
from streams.metering.meter import Meter
from streams.rating.pricebook import PriceBook
from streams.settings import Settings
from tests.support.stores import Journal, publish_usage, read_journal, running_stores

pytestmark = pytest.mark.slow

BOOK = PriceBook.load(None)


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Settings]:
    async with running_stores(tmp_path, usage_partitions=2, session_timeout_ms=1000) as settings:
        yield settings


@asynccontextmanager
async def metering(settings: Settings, group: str = "meters") -> AsyncIterator[Meter]:
    stop = asyncio.Event()
    meter = Meter(settings, BOOK, no_registry, group)
    running = asyncio.create_task(meter.run(stop))
    try:
        yield meter
    finally:
        stop.set()
        await running


def events(first: int, count: int) -> list[bytes]:
    return [
        encode(
            UsageEvent(
                event_id=f"event-{number}",
                occurred_at=datetime(2026, 11, 1, 12, number % 60, tzinfo=UTC),
                provider="openai",
                model="gpt-4o-mini",
                team="search",
                usage_source="reported",
                input_tokens=number,
                output_tokens=7,
            )
        )
        for number in range(first, first + count)
    ]


async def journal_when(settings: Settings, done: Callable[[Journal], bool]) -> Journal:
    async with asyncio.timeout(40):
        while not done(journal := await read_journal(settings)):
            pass
    return journal


def tiles(covered: list[tuple[int, int]], through: int) -> bool:
    starts = [start for start, _ in covered]
    ends = [end for _, end in covered]
    return starts == [0, *(end + 1 for end in ends[:-1])] and ends[-1] == through


async def test_a_meter_that_starts_again_goes_on_where_the_journal_ends(stores: Settings) -> None:
    source = SourcePartition(f"{await cluster_id(stores)}/{USAGE}", 0)
    await publish_usage(stores, events(0, 300))
    async with metering(stores):
        await journal_when(stores, lambda journal: journal.events() == 300)
    await publish_usage(stores, events(300, 200))
    async with metering(stores):
        journal = await journal_when(stores, lambda journal: journal.events() >= 500)
    assert journal.calls == 500
    assert tiles(journal.covered(source), 499)


async def test_a_repeated_id_is_dropped_after_a_restart_too(stores: Settings) -> None:
    await publish_usage(stores, events(0, 100))
    async with metering(stores):
        await journal_when(stores, lambda journal: journal.events() == 100)
    await publish_usage(stores, [*events(50, 50), *events(100, 10)])
    async with metering(stores):
        journal = await journal_when(stores, lambda journal: journal.events() == 110)
    assert sum(covered.duplicates for covered in journal.accepted) == 50
    assert journal.calls == 110


async def test_two_meters_that_own_the_same_partitions_count_each_event_once(
    stores: Settings,
) -> None:
    source = f"{await cluster_id(stores)}/{USAGE}"
    async with metering(stores, "meters"), metering(stores, "rivals"):
        for round_ in range(6):
            for partition in (0, 1):
                first = round_ * 1000 + partition * 500
                await publish_usage(stores, events(first, 100), partition)
        journal = await journal_when(stores, lambda journal: journal.events() >= 1200)
    assert journal.calls == 1200
    for partition in (0, 1):
        assert tiles(journal.covered(SourcePartition(source, partition)), 599)


async def test_a_meter_that_was_overtaken_begins_again_behind_the_other_one(
    stores: Settings,
) -> None:
    source = f"{await cluster_id(stores)}/{USAGE}"
    async with metering(stores):
        await publish_usage(stores, events(0, 100))
        await journal_when(stores, lambda journal: journal.events() == 100)
        # Another meter has already metered the next ten.
        foreign = Range(source=source, partition=0, start=100, through=109, events=10)
        await append(stores, foreign)
        await publish_usage(stores, events(100, 60))
        journal = await journal_when(
            stores, lambda journal: tiles(journal.covered(foreign.key), 159)
        )
    assert journal.events() == 160
    assert journal.calls == 150, "ten of them are the other meter's, whose entry had no rows"
    assert [(r.start, r.through) for r in journal.dropped] == [(100, 159)]


async def append(settings: Settings, covered: Range) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
    await producer.start()
    try:
        await producer.send_and_wait(
            JOURNAL,
            encode_rows(ROW_SCHEMA.empty_table()),
            partition=0,
            headers=entry_headers("another-meter", [covered]),
        )
    finally:
        await producer.stop()
