"""One round: traffic, a fault, its end, the recovery; then traffic pauses and all is compared."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from streams.kafka import cluster_id
from streams.reconciliation.verdict import reconcile
from tests.chaos import copies, histories
from tests.chaos.accounting import Drift, Findings, Known, compare
from tests.chaos.dead_letters import DeadLetters
from tests.chaos.fault import Fault
from tests.chaos.landed import Watch
from tests.chaos.waiting import Stuck, until
from tests.chaos.world import STANDING, THRESHOLDS, World

FLOWING_SECONDS = 30.0
RECOVERY_SECONDS = 90.0
SETTLING_SECONDS = 60.0
SHOWN = 5
MOST_SHOWN = 12
"""Examples of a kind, and complaints of a round, in a report."""


@dataclass
class Round:
    """What a round came to. ``recovery``: seconds from the fault's end (a kill is at once) until
    all that was acknowledged before it was in every copy; None where that did not come."""

    faults: tuple[str, ...]
    mixed: bool = False
    sent: int = 0
    lost: int = 0
    twice: int = 0
    drift: Drift = field(default_factory=Drift)
    recovery: float | None = None
    removed: int = 0
    seconds: float = 0.0
    refused: int = 0
    repeated: int = 0
    dropped: int = 0
    """Ranges that the fence has dropped: without it each of them would have counted twice."""
    alerts: int = 0
    delivered_again: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True where nothing was lost, nothing counted twice, and nothing else is wrong."""
        return not (self.lost or self.twice or self.drift or self.problems)


class Rounds:
    """Plays rounds on a running world, and keeps the books over all of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known = Known()
        self._seen = self._booked = 0
        self._found = Findings()
        self._drift = Drift()
        self._count = 0
        self._complaints: set[str] = set()
        self._losses = 0
        self._removed = 0
        self._again = 0
        self._dropped = 0
        self._told = 0
        self._watch: Watch
        self._letters = DeadLetters(world.settings)

    async def open(self) -> None:
        """Learn what is needed of the running world."""
        self._watch = Watch(self._world, await cluster_id(self._world.settings))
        self._world.watch = self._watch

    async def play(self, faults: Sequence[Fault], dice: Random, *, mixed: bool = False) -> Round:
        """Play one round with these faults at the same time."""
        world, started = self._world, time.monotonic()
        self._count += 1
        epoch = f"r{self._count:03}"
        row = Round(tuple(fault.name for fault in faults), mixed)
        self._seen = len(world.traffic.acked)
        world.round, world.first = epoch, self._seen
        world.traffic.resume(epoch)
        try:
            await self._flows()
            ends = await asyncio.gather(*(fault.strike(world, dice) for fault in faults))
            end = max(ends)
            cut = world.traffic.cut(end, self._seen)
            row.recovery = await self._watch.until_landed(cut, RECOVERY_SECONDS) - end
        except Stuck as stuck:
            row.problems.append(str(stuck))
        row.problems += await world.attended()
        await self._settle(row)
        await self._compare(row, epoch)
        row.seconds = time.monotonic() - started
        return row

    async def _flows(self) -> None:
        """Every stage runs, and events of this round are in every copy."""
        world = self._world
        await until(
            "every stage runs",
            lambda: all(n in world.stages and world.stages[n].pid for n in STANDING),
        )
        await until(
            "traffic is acknowledged",
            lambda: len(world.traffic.acked) > self._seen + 100,
            FLOWING_SECONDS,
        )
        cut = world.traffic.cut(time.monotonic(), self._seen)
        await self._watch.until_landed(cut, FLOWING_SECONDS)

    async def _settle(self, row: Round) -> None:
        world = self._world
        try:
            await asyncio.to_thread(world.traffic.pause, SETTLING_SECONDS)
        except AssertionError as error:
            row.problems.append(str(error))
        repeated = self._known.repeated
        booked, self._booked = self._booked, len(world.traffic.acked)
        self._known.add(world.traffic.acked[booked : self._booked])
        row.sent = self._booked - booked
        row.repeated = self._known.repeated - repeated
        cut = world.traffic.cut(time.monotonic(), self._seen)
        try:
            await self._watch.until_landed(cut, SETTLING_SECONDS)
            await self._watch.until_following(SETTLING_SECONDS)
        except Stuck as stuck:
            row.problems.append(str(stuck))

    async def _compare(self, row: Round, epoch: str) -> None:
        world = self._world
        await until("ClickHouse answers", world.engine_answers)
        guard = await until("a guard answers", world.guard)
        if world.removal is not None:
            removal, world.removal = world.removal, None
            self._known.remove(epoch, *removal)
            row.removed = removal[2] - removal[1]
            self._removed += row.removed
            self._losses += 1
        found, drift = await asyncio.to_thread(self._figures, epoch, guard)
        new = found - self._found
        self._found |= found
        row.lost, row.twice = len(new.lost), len(new.twice)
        row.drift, self._drift = drift - self._drift, drift
        for what, ids in (("wrong figures", new.wrong), ("not acknowledged", new.unknown)):
            if ids:
                row.problems.append(f"{len(ids)} events with {what}: {sorted(ids)[:SHOWN]}")
        for what, ids in (("lost", new.lost), ("counted twice", new.twice)):
            if ids:
                row.problems.append(f"{len(ids)} events {what}, such as {sorted(ids)[:SHOWN]}")
        row.refused = sum(event.epoch == epoch for event in self._known.refused.values())
        complaints = [
            *await asyncio.to_thread(self._ranges, row),
            *await self._buried(),
            *await self._alerts(row),
            *await asyncio.to_thread(self._reconciled, guard),
        ]
        new_ones = [c for c in complaints if c not in self._complaints]
        row.problems += new_ones[:MOST_SHOWN]
        if (more := len(new_ones) - MOST_SHOWN) > 0:
            row.problems.append(f"and {more} more")
        self._complaints.update(complaints)

    def _figures(self, epoch: str, guard: dict[str, Any]) -> tuple[Findings, Drift]:
        """This round event by event; an earlier one where its sums are off."""
        clickhouse, known = self._world.clickhouse, self._known
        found = Findings()
        for sums, events in (
            (copies.ledger_sums, copies.ledger_events),
            (copies.archive_sums, copies.archive_events),
        ):
            for suspect in {epoch, *known.suspects(sums(clickhouse))}:
                found |= compare(known.rounds[suspect], events(clickhouse, suspect))
        return found, copies.drift(clickhouse, guard)

    def _ranges(self, row: Round) -> list[str]:
        """What the accepted ranges say, against what happened; and the daily sums."""
        problems = []
        covered = copies.covered(self._world.clickhouse)
        if excess := covered["lost"] - self._removed:
            problems.append(f"{excess:+} events lost to retention against what was removed unread")
        if covered["conflicts"]:
            problems.append(f"{covered['conflicts']} conflicts; no id was given twice")
        self._refused_in_ledger = covered["refused"]
        row.dropped, self._dropped = covered["dropped"] - self._dropped, covered["dropped"]
        problems += [
            f"{table} differs from spend by {more}"
            for table in ("spend_daily", "spend_by_day")
            if any(more := copies.daily_difference(self._world.clickhouse, table))
        ]
        return problems

    async def _buried(self) -> list[str]:
        letters = await self._letters.places()
        problems = []
        if missing := self._known.refused.keys() - letters:
            problems.append(f"{len(missing)} refused events are not in the dead letters")
        for place, event in self._known.refused.items():
            found = self._letters.reasons.get(place)
            if event.reason is not None and found not in (event.reason, None):
                problems.append(f"an event was refused as {found}, not as {event.reason}")
        if excess := len(letters) - self._refused_in_ledger:
            problems.append(f"{excess:+} dead letters against what the ledger counts as refused")
        return problems

    async def _alerts(self, row: Round) -> list[str]:
        """Histories, once all that is due has come."""
        world = self._world
        wanted = histories.due(self._known.spent, world.limit, THRESHOLDS)
        taken: Mapping[str, int] = {}
        told: list[histories.Told] = []
        late: set[str] = set()

        async def look() -> bool:
            nonlocal taken, told, late
            taken = world.receiver.accepted("/hook")
            told = await asyncio.to_thread(histories.transitions, world.clickhouse)
            recorded = await asyncio.to_thread(histories.delivered, world.clickhouse)
            late = histories.missing(told, wanted, taken, recorded)
            return late <= self._complaints

        with contextlib.suppress(Stuck):
            await until("every alert is on record and delivered", look, SETTLING_SECONDS)
        again = sum(count - 1 for count in taken.values())
        row.delivered_again, self._again = again - self._again, again
        row.alerts, self._told = len(told) - self._told, len(told)
        return [*sorted(late), *histories.faults(told, wanted, taken, self._losses)]

    def _reconciled(self, guard: dict[str, Any]) -> list[str]:
        """The product's own verdict must be the same as ours."""
        verdict = reconcile(self._world.clickhouse, guard)
        # By how much, not what they are: that changes from round to round.
        problems = [
            f"reconcile: {d.cell} {d.figure}: {' and '.join(d.copies)} differ by "
            f"{d.values[0] - d.values[1]:+,}"
            for d in verdict.differences
        ]
        return problems if problems or verdict.ok else ["reconcile: not ok"]
