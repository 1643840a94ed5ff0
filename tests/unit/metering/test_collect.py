"""Micro-batches: closed by time, by number of records and by bytes, and by nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.metering.collect import Collector, Limits
from tests.support.records import Record

LONG = 60.0
"""Seconds that no test waits for: what closes a batch is something else."""


class Consumer:
    """Gives what it was made with, poll by poll, and then nothing. Notes what it was asked."""

    def __init__(self, *polls: Mapping[int, Sequence[Record]]) -> None:
        self._polls = list(polls)
        self.asked: list[int] = []

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Record]]:
        self.asked.append(max_records)
        if not self._polls:
            await asyncio.sleep(min(timeout_ms / 1000, 0.01))
            return {}
        poll = self._polls.pop(0)
        return {TopicPartition("llm.usage", p): list(records) for p, records in poll.items()}


def records(partition: int, first: int, count: int, size: int = 10) -> list[Record]:
    return [Record(partition, first + n, b"x" * size) for n in range(count)]


def offsets(batch: Mapping[int, Sequence[Any]]) -> dict[int, list[int]]:
    return {partition: [record.offset for record in part] for partition, part in batch.items()}


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


async def test_a_batch_is_closed_when_it_has_as_many_records(stop):
    consumer = Consumer(*({0: records(0, n * 10, 10)} for n in range(9)))
    collector = Collector(consumer, Limits(LONG, 30, 10**9))
    assert offsets(await collector.collect(stop)) == {0: list(range(30))}
    assert consumer.asked == [30, 20, 10], "no more are asked for than there is room for"
    assert offsets(await collector.collect(stop)) == {0: list(range(30, 60))}


async def test_a_batch_is_closed_when_it_has_as_many_bytes(stop):
    consumer = Consumer(*({n % 2: records(n % 2, n, 1, size=1000)} for n in range(9)))
    collector = Collector(consumer, Limits(LONG, 10**6, 3500))
    assert offsets(await collector.collect(stop)) == {0: [0, 2], 1: [1, 3]}


async def test_a_record_without_a_value_has_no_bytes(stop):
    nothing = [Record(0, n, None) for n in range(100)]
    collector = Collector(Consumer({0: nothing}), Limits(0.05, 10**6, 1))
    assert len((await collector.collect(stop))[0]) == 100


async def test_a_batch_is_closed_so_long_after_its_first_record(stop):
    collector = Collector(Consumer({0: records(0, 0, 3)}), Limits(0.05, 10**6, 10**9))
    async with asyncio.timeout(5):
        assert offsets(await collector.collect(stop)) == {0: [0, 1, 2]}


async def test_where_nothing_comes_the_caller_is_not_kept(stop):
    collector = Collector(Consumer(), Limits(LONG, 10**6, 10**9))
    async with asyncio.timeout(5):
        assert await collector.collect(stop) == {}


async def test_no_batch_is_begun_after_stop_and_one_that_was_begun_is_finished(stop):
    class Stopping(Consumer):
        async def getmany(self, **how: int) -> dict[TopicPartition, list[Record]]:
            stop.set()
            return await super().getmany(**how)

    consumer = Stopping(*({0: records(0, n, 1)} for n in range(3)))
    collector = Collector(consumer, Limits(LONG, 3, 10**9))
    assert offsets(await collector.collect(stop)) == {0: [0, 1, 2]}
    assert await collector.collect(stop) == {}
    assert len(consumer.asked) == 3


async def test_it_says_how_many_records_it_holds(stop):
    held = []

    class Looking(Consumer):
        async def getmany(self, **how: int) -> dict[TopicPartition, list[Record]]:
            held.append(collector.held)
            return await super().getmany(**how)

    collector = Collector(
        Looking(*({0: records(0, n, 2)} for n in range(3))), Limits(LONG, 6, 10**9)
    )
    await collector.collect(stop)
    assert held == [0, 2, 4]
    assert collector.held == 0
