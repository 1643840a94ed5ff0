"""How far the stages are behind what was published."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas.topics import JOURNAL, OUTCOMES, USAGE
from sinks.archive import Archive
from sinks.clickhouse import ClickHouse, ClickHouseError
from sinks.ledger import Ledger
from sinks.outcomes import Outcomes
from streams.kafka import cluster_id, consumer, end_offsets, partitions_of, stop_consumer
from streams.settings import Settings
from streams.stores import clickhouse_reader

Bounds = Mapping[int, tuple[int, int]]
"""Per partition, the first offset that is kept and the one that comes next."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events not yet in the ledger, not yet in the archive, entries not yet guarded, and outcomes
    not yet landed."""

    unmetered: int
    unarchived: int
    unguarded: int
    unlanded_outcomes: int

    @property
    def empty(self) -> bool:
        """True where everything published is everywhere."""
        events = self.unmetered or self.unarchived or self.unguarded
        return not (events or self.unlanded_outcomes)


async def backlog(settings: Settings) -> Backlog:
    """Measure it. Raises KafkaError or ClickHouseError where one of them is not there."""
    cluster = await cluster_id(settings)
    reader = consumer(settings)
    await reader.start()
    try:
        bounds = {topic: await _bounds(reader, topic) for topic in (USAGE, OUTCOMES)}
    finally:
        await stop_consumer(reader)
    connection = clickhouse_reader(settings)
    try:
        ledger, archived, landed = await asyncio.to_thread(_progress, connection, cluster)
    finally:
        connection.close()
    guarded = await guard_state(settings)
    position = int(guarded["position"]) if guarded else -1
    source = f"{cluster}/{USAGE}"
    metered = {key.partition: n for key, (n, _) in ledger.marks.items() if key.source == source}
    return Backlog(
        _behind(bounds[USAGE], metered),
        _behind(bounds[USAGE], archived),
        max(0, ledger.position - position),
        _behind(bounds[OUTCOMES], landed),
    )


async def _bounds(reader: AIOKafkaConsumer, topic: str) -> Bounds:
    partitions = await partitions_of(reader, topic)
    if not partitions:
        return {}
    reader.assign(partitions)
    ends = await end_offsets(reader, partitions)
    beginnings = await reader.beginning_offsets(partitions)
    return {tp.partition: (beginnings[tp], ends[tp]) for tp in partitions}


def _behind(bounds: Bounds, following: Mapping[int, int]) -> int:
    """Records from where a stage goes on to the ends; what it never began it begins at first."""
    return sum(end - following.get(number, first) for number, (first, end) in bounds.items())


def _progress(
    connection: ClickHouse, cluster: str
) -> tuple[Any, Mapping[int, int], Mapping[int, int]]:
    return (
        Ledger(connection, f"{cluster}/{JOURNAL}").progress(),
        Archive(connection, f"{cluster}/{USAGE}").next_offsets(),
        Outcomes(connection, f"{cluster}/{OUTCOMES}").next_offsets(),
    )


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
