"""How far the stages are behind what was published."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiokafka.errors import KafkaError

from schemas.topics import JOURNAL, USAGE
from sinks.archive import Archive
from sinks.clickhouse import ClickHouse, ClickHouseError
from sinks.ledger import Ledger
from streams.kafka import cluster_id, consumer, end_offsets, partitions_of
from streams.settings import Settings
from streams.stores import clickhouse_reader


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events not yet in the ledger, not yet in the archive, and entries not yet guarded."""

    unmetered: int
    unarchived: int
    unguarded: int

    @property
    def empty(self) -> bool:
        """True where everything published is everywhere."""
        return not (self.unmetered or self.unarchived or self.unguarded)


async def backlog(settings: Settings) -> Backlog:
    """Measure it. Raises KafkaError or ClickHouseError where one of them is not there."""
    cluster = await cluster_id(settings)
    source = f"{cluster}/{USAGE}"
    reader = consumer(settings)
    await reader.start()
    try:
        partitions = await partitions_of(reader, USAGE)
        reader.assign(partitions)
        ends = await end_offsets(reader, partitions)
        beginnings = await reader.beginning_offsets(partitions)
    finally:
        await reader.stop()
    connection = clickhouse_reader(settings)
    try:
        ledger, archived = await asyncio.to_thread(_progress, connection, cluster, source)
    finally:
        connection.close()
    guarded = await guard_state(settings)
    position = int(guarded["position"]) if guarded else -1
    metered = {key.partition: n for key, (n, _) in ledger.marks.items() if key.source == source}
    return Backlog(
        sum(end - metered.get(tp.partition, beginnings[tp]) for tp, end in ends.items()),
        sum(end - archived.get(tp.partition, beginnings[tp]) for tp, end in ends.items()),
        max(0, ledger.position - position),
    )


def _progress(connection: ClickHouse, cluster: str, source: str) -> tuple[Any, dict[int, int]]:
    ledger = Ledger(connection, f"{cluster}/{JOURNAL}").progress()
    return ledger, Archive(connection, source).next_offsets()


async def guard_state(settings: Settings) -> dict[str, Any] | None:
    """What the guard says of itself; None where it does not answer."""
    url = f"http://{settings.web_host}:{settings.web_port}/v1/state"
    timeout = aiohttp.ClientTimeout(total=3)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            if answer.status != 200:
                return None
            state: dict[str, Any] = await answer.json()
            return state
    except (aiohttp.ClientError, TimeoutError):
        return None


async def wait_until_empty(settings: Settings, seconds: float) -> Backlog:
    """Wait until everything published is everywhere, or the time is up; what is left."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            left = await backlog(settings)
        except (KafkaError, ClickHouseError):
            if loop.time() > deadline:
                raise
        else:
            if left.empty or loop.time() > deadline:
                return left
        await asyncio.sleep(0.1)
