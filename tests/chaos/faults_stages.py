"""Stages that are killed: at any moment, and at each step where something is half done."""

from __future__ import annotations

import asyncio
import signal
from random import Random

from tests.chaos.fault import fault
from tests.chaos.proxy import Trap
from tests.chaos.waiting import until
from tests.chaos.world import World

MOMENT_SECONDS = 0.5
"""A random moment within it: longer than a batch is."""
SPRING_SECONDS = 30.0


async def _at_any_moment(world: World, dice: Random, name: str) -> float:
    await asyncio.sleep(dice.uniform(0, MOMENT_SECONDS))
    return await world.kill(name)


@fault("meter killed", "SIGKILL of a meter at a random moment", "meter")
async def _meter(world: World, dice: Random) -> float:
    return await _at_any_moment(world, dice, dice.choice(world.of("meter")))


@fault("ledger sink killed", "SIGKILL of the active ledger sink at a random moment", "ledger")
async def _ledger(world: World, dice: Random) -> float:
    return await _at_any_moment(world, dice, world.proxy.last_insert["ledger_progress"])


@fault("archive sink killed", "SIGKILL of an archive sink at a random moment", "archive")
async def _archive(world: World, dice: Random) -> float:
    return await _at_any_moment(world, dice, dice.choice(world.of("archive")))


@fault("guard killed", "SIGKILL of the active guard at a random moment", "guard")
async def _guard(world: World, dice: Random) -> float:
    return await _at_any_moment(world, dice, await world.active_guard())


@fault(
    "meter killed: dead letters written",
    "SIGKILL between the dead letters and the journal append that covers them",
    "meter",
)
async def _meter_buried(world: World, _: Random) -> float:
    return await world.killed_at("meter-buried")


@fault(
    "meter killed: appended",
    "SIGKILL after the journal's acknowledgement, before the verdict is read",
    "meter",
)
async def _meter_appended(world: World, _: Random) -> float:
    return await world.killed_at("meter-appended")


@fault(
    "meter killed: accepted",
    "SIGKILL after the entry was found accepted, before the commit",
    "meter",
)
async def _meter_judged(world: World, _: Random) -> float:
    return await world.killed_at("meter-judged")


async def _in_rebalance(world: World, dice: Random, step: str) -> float:
    """One meter leaves; the rebalance that follows kills whoever comes to the step first."""
    world.arm(step)
    world.send(dice.choice(world.of("meter")), signal.SIGTERM)
    return await world.killed_at(step)


@fault("meter killed: revoked", "SIGKILL in a rebalance, as partitions are taken away", "meter")
async def _meter_revoked(world: World, dice: Random) -> float:
    return await _in_rebalance(world, dice, "meter-revoked")


@fault("meter killed: assigned", "SIGKILL in a rebalance, as partitions are given", "meter")
async def _meter_assigned(world: World, dice: Random) -> float:
    return await _in_rebalance(world, dice, "meter-assigned")


@fault(
    "meter killed: rebuilding",
    "SIGKILL after a rebalance, while the window of event ids is read again",
    "meter",
)
async def _meter_rebuilding(world: World, dice: Random) -> float:
    return await _in_rebalance(world, dice, "meter-rebuilding")


@fault(
    "ledger sink killed: between tables",
    "SIGKILL after the insert into spend, before ledger_progress",
    "ledger",
)
async def _ledger_between(world: World, _: Random) -> float:
    return await world.killed_at("ledger-between")


@fault(
    "ledger sink killed: unacknowledged",
    "SIGKILL after ClickHouse executed an insert into spend, before its answer came",
    "ledger",
    "proxy",
)
async def _ledger_unacknowledged(world: World, _: Random) -> float:
    return await _unacknowledged(world, "spend")


@fault("ledger sink killed: uncommitted", "SIGKILL after both inserts, before the commit", "ledger")
async def _ledger_uncommitted(world: World, _: Random) -> float:
    return await world.killed_at("ledger-uncommitted")


@fault(
    "archive sink killed: between tables",
    "SIGKILL after the insert into usage_events, before archive_progress",
    "archive",
)
async def _archive_between(world: World, _: Random) -> float:
    return await world.killed_at("archive-between")


@fault(
    "archive sink killed: unacknowledged",
    "SIGKILL after ClickHouse executed an insert into usage_events, before its answer came",
    "archive",
    "proxy",
)
async def _archive_unacknowledged(world: World, _: Random) -> float:
    return await _unacknowledged(world, "usage_events")


async def _unacknowledged(world: World, table: str) -> float:
    killed: list[float] = []

    def kill(stage: str) -> None:
        world.send(stage, signal.SIGKILL)
        killed.append(asyncio.get_running_loop().time())

    trap = world.proxy.trap(Trap(table, spring=kill))
    try:
        await until(f"an insert into {table}", trap.sprung.is_set, SPRING_SECONDS)
    finally:
        world.proxy.disarm(trap)
    return killed[0]


@fault(
    "guard killed: alert published",
    "SIGKILL after an alert was published, before its cause was acknowledged",
    "guard",
)
async def _guard_published(world: World, _: Random) -> float:
    return await world.killed_at("guard-published")


@fault(
    "guard killed: loaded",
    "the active guard killed, and its successor too, with its state loaded and its gate closed",
    "guard",
)
async def _guard_loaded(world: World, _: Random) -> float:
    world.arm("guard-loaded")
    await world.kill(await world.active_guard())
    return await world.killed_at("guard-loaded")


@fault(
    "notifier killed: sent",
    "SIGKILL after the receiver took an alert, before that was on record",
    "guard",
)
async def _notifier_sent(world: World, _: Random) -> float:
    return await world.killed_at("notifier-sent")
