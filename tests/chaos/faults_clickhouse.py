"""ClickHouse as bad as it gets, for every stage at once."""

from __future__ import annotations

import asyncio
import time
from random import Random

from tests.chaos.fault import fault
from tests.chaos.proxy import Mode, Trap
from tests.chaos.waiting import until
from tests.chaos.world import RATE, World

SHORT_SECONDS = (2.0, 4.0)
LONG_SECONDS = 12.0
FULL_SECONDS = 5.0
DROPS = 3
"""In a row: the driver repeats an insert once by itself."""
SPRING_SECONDS = 60.0


async def _outage(world: World, mode: Mode, seconds: float) -> float:
    await world.proxy.set_mode(mode)
    try:
        await asyncio.sleep(seconds)
    finally:
        await world.proxy.set_mode("pass")
    return time.monotonic()


@fault("ClickHouse refuses", "connections are cut and refused", "clickhouse", "proxy")
async def _refuses(world: World, dice: Random) -> float:
    return await _outage(world, "refuse", dice.uniform(*SHORT_SECONDS))


@fault("ClickHouse hangs", "requests are taken and not answered", "clickhouse", "proxy")
async def _hangs(world: World, dice: Random) -> float:
    return await _outage(world, "hang", dice.uniform(*SHORT_SECONDS))


@fault("ClickHouse answers 500", "every request is answered 500", "clickhouse", "proxy")
async def _fails(world: World, dice: Random) -> float:
    return await _outage(world, "error", dice.uniform(*SHORT_SECONDS))


@fault(
    "ClickHouse drops the answer",
    "inserts into four tables are executed, and the connection is cut in place of the answer",
    "clickhouse",
    "proxy",
    seconds=15,
)
async def _drops(world: World, _: Random) -> float:
    tables = ("spend", "ledger_progress", "usage_events", "archive_progress")
    traps = [world.proxy.trap(Trap(table, DROPS)) for table in tables]
    try:
        for trap in traps:
            await until(f"inserts into {trap.table}", trap.sprung.is_set, SPRING_SECONDS)
    finally:
        for trap in traps:
            world.proxy.disarm(trap)
    return time.monotonic()


@fault("ClickHouse killed", "SIGKILL of the database", "clickhouse")
async def _killed(world: World, _: Random) -> float:
    return await world.kill("engine")


@fault(
    "ClickHouse down for long",
    "connections are refused for longer, at twice the traffic",
    "clickhouse",
    "proxy",
    seconds=35,
)
async def _down(world: World, _: Random) -> float:
    world.traffic.rate = 2 * RATE
    try:
        return await _outage(world, "refuse", LONG_SECONDS)
    finally:
        world.traffic.rate = RATE


@fault("disk full", "the database's disk has no byte left, for a while", "clickhouse", seconds=18)
async def _disk_full(world: World, _: Random) -> float:
    await world.fill_disk()
    try:
        await asyncio.sleep(FULL_SECONDS)
    finally:
        await world.relieve_disk()
    return time.monotonic()
