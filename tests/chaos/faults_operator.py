"""What people and clocks do: offsets reset, retention too short, a clock that is wrong."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from random import Random

from schemas.topics import JOURNAL, USAGE
from tests.chaos.admin import delete_records, reset_group
from tests.chaos.fault import fault
from tests.chaos.waiting import until
from tests.chaos.world import STANDING, World

SKEWED_SECONDS = 3.0
UNREAD = 200
"""Events of the partition that are published while no meter runs, before half of them go."""
PAUSE_SECONDS = 30.0
GROUPS = {
    "spendstream-meter": USAGE,
    "spendstream-archive": USAGE,
    "spendstream-ledger": JOURNAL,
    "spendstream-guard": JOURNAL,
}


@fault("clock a day ahead", "one producer's events are from tomorrow, and refused", "clock")
async def _ahead(world: World, _: Random) -> float:
    return await _skewed(world, timedelta(days=1))


@fault("clock a day behind", "one producer's events are from yesterday, and count there", "clock")
async def _behind(world: World, _: Random) -> float:
    return await _skewed(world, timedelta(days=-1))


async def _skewed(world: World, skew: timedelta) -> float:
    world.traffic.skew = skew
    try:
        await asyncio.sleep(SKEWED_SECONDS)
    finally:
        world.traffic.skew = None
    return time.monotonic()


@fault(
    "offsets reset",
    "with all stages off, an operator sets every group back to the beginning",
    *("meter", "ledger", "archive", "guard", "kafka", "clickhouse", "proxy", "clock"),
    seconds=25,
)
async def _reset(world: World, _: Random) -> float:
    await asyncio.gather(*(world.stop_stage(name) for name in STANDING))
    try:
        for group, topic in GROUPS.items():
            await reset_group(world.settings, group, topic)
    finally:
        await asyncio.gather(*(world.start_stage(name) for name in STANDING))
    return time.monotonic()


@fault(
    "retention overtakes",
    "events are removed from llm.usage while every meter is off",
    *("meter", "ledger", "archive", "guard", "kafka", "clickhouse", "proxy", "clock"),
    seconds=25,
)
async def _retention(world: World, dice: Random) -> float:
    readers = [name for name in STANDING if name.startswith(("meter", "archive"))]
    traffic = world.traffic
    # All copies at the same offset, so that exactly the same events are lost to each.
    await asyncio.to_thread(traffic.pause, PAUSE_SECONDS)
    await world.watch.until_landed(traffic.cut(time.monotonic(), world.first), PAUSE_SECONDS)
    await asyncio.gather(*(world.stop_stage(name) for name in readers))
    try:
        landed = await world.watch.landed()
        assert landed is not None
        traffic.resume(world.round, repeats=False)
        partition = dice.choice(sorted(landed.ledger))
        due = landed.ledger[partition]

        def unread() -> int:
            return traffic.cut(time.monotonic(), world.first).get(partition, 0) - due

        await until("enough is unread", lambda: unread() > UNREAD, PAUSE_SECONDS)
        await delete_records(world.settings, partition, due + UNREAD // 2)
        world.removal = (partition, due, due + UNREAD // 2)
    finally:
        await asyncio.gather(*(world.start_stage(name) for name in readers))
        traffic.resume(world.round)
    return time.monotonic()
