"""Brokers that go, and a dead-letter topic that takes nothing."""

from __future__ import annotations

import asyncio
import time
from random import Random

from schemas.topics import DEAD_LETTERS, JOURNAL
from tests.chaos.admin import isr_is_full, set_topic_config, topic_config
from tests.chaos.fault import fault
from tests.chaos.waiting import until
from tests.chaos.world import World

WHOLE_SECONDS = 60.0
AWAY_SECONDS = 8.0
UNWRITABLE_SECONDS = 5.0


@fault("broker restarted", "SIGTERM of a broker, and its start", "kafka", seconds=20)
async def _restarted(world: World, dice: Random) -> float:
    node = dice.choice(world.cluster.node_ids)
    await asyncio.to_thread(world.cluster.terminate, node)
    await _comes_back(world, node)
    return time.monotonic()


@fault(
    "leader of the journal killed",
    "SIGKILL of the broker that leads llm.spend",
    "kafka",
    seconds=20,
)
async def _leader(world: World, _: Random) -> float:
    node = await asyncio.to_thread(world.cluster.leader, JOURNAL, 0)
    await asyncio.to_thread(world.cluster.kill, node)
    at = time.monotonic()
    world.meanwhile(_comes_back(world, node))
    return at


@fault(
    "broker lost", "SIGKILL of one broker of three, which stays away for long", "kafka", seconds=25
)
async def _lost(world: World, dice: Random) -> float:
    node = dice.choice(world.cluster.node_ids)
    await asyncio.to_thread(world.cluster.kill, node)
    await asyncio.sleep(AWAY_SECONDS)
    await _comes_back(world, node)
    return time.monotonic()


async def _comes_back(world: World, node: int) -> None:
    await asyncio.to_thread(world.cluster.start_node, node)
    await until("every replica is in sync", lambda: isr_is_full(world.settings), WHOLE_SECONDS)


@fault(
    "dead letters not writable",
    "llm.usage.dlq takes no record: the meter must wait, and skip nothing",
    "meter",
    "kafka",
    seconds=18,
)
async def _unwritable(world: World, _: Random) -> float:
    kept = await topic_config(world.settings, DEAD_LETTERS)
    await set_topic_config(world.settings, DEAD_LETTERS, kept | {"max.message.bytes": "1"})
    try:
        await asyncio.sleep(UNWRITABLE_SECONDS)
        await world.check_nothing_skipped()
    finally:
        await set_topic_config(world.settings, DEAD_LETTERS, kept)
    return time.monotonic()
