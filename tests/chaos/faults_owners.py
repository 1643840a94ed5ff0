"""Meters that believe what is no longer so: zombies, two owners, a fleet that changes."""

from __future__ import annotations

import asyncio
import signal
import time
from random import Random

from tests.chaos.fault import fault
from tests.chaos.waiting import until
from tests.chaos.world import SPARE, World

TAKEOVER_SECONDS = 40.0
RACE_SECONDS = 4.0


@fault(
    "zombie meter",
    "SIGSTOP of a meter beyond its session timeout, takeover by another, SIGCONT",
    "meter",
    seconds=15,
)
async def _zombie(world: World, dice: Random) -> float:
    victim = dice.choice(world.of("meter"))
    world.send(victim, signal.SIGSTOP)
    try:
        # Of its partitions too: so somebody else has them now.
        await asyncio.sleep(1)
        cut = world.traffic.cut(time.monotonic(), world.first)
        await world.watch.until_landed(cut, TAKEOVER_SECONDS)
    finally:
        world.send(victim, signal.SIGCONT)
    return time.monotonic()


@fault(
    "two owners",
    "a meter of another group, which owns every partition too, races the others",
    "meter",
    seconds=18,
)
async def _two_owners(world: World, _: Random) -> float:
    await world.start_stage(SPARE, group="spendstream-meter-other")
    try:
        await _meters(world)
        await asyncio.sleep(RACE_SECONDS)
    finally:
        await world.stop_stage(SPARE)
    return time.monotonic()


@fault(
    "meters added and removed",
    "a third meter comes, another goes and comes back",
    "meter",
    seconds=18,
)
async def _fleet(world: World, dice: Random) -> float:
    leaving = dice.choice(world.of("meter"))
    await world.start_stage(SPARE)
    try:
        await _meters(world)
        await world.stop_stage(leaving)
        await asyncio.sleep(1)
        await world.start_stage(leaving)
    finally:
        await world.stop_stage(SPARE)
    return time.monotonic()


async def _meters(world: World) -> None:
    """The spare meter has begun to meter."""
    log = world.stages[SPARE].log_file
    before = log.read_text("utf-8", "replace").count("metering from") if log.exists() else 0
    await until(
        "the third meter begins",
        lambda: log.read_text("utf-8", "replace").count("metering from") > before,
        TAKEOVER_SECONDS,
    )
