"""The guard's state: all concerns, as of one journal position, and the start rule.

The rule: C is what the group has committed. Load the concerns from ClickHouse as of position J, and
wait until J ≥ C - 1; ignore entries up to J; apply the rest through the fence. Then it does not
matter which acknowledgements the stream processor has lost or repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from schemas.alerts import Alert
from schemas.journal import decode_entry
from sinks.clickhouse import ClickHouse, ClickHouseError
from sinks.ledger import Ledger
from streams.guard.clock import EventClock
from streams.guard.concern import Accepted, AsOf, Concern
from streams.journal.fence import Fence, Mark
from streams.stage import sleep_unless

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Follower:
    """The concerns, and how far they have followed the journal."""

    concerns: Sequence[Concern]
    fence: Fence
    at: AsOf
    clock: EventClock

    def take(
        self, position: int, headers: Sequence[tuple[str, bytes]], value: bytes | None
    ) -> list[Alert]:
        """Apply the entry at this position unless it is covered; what follows from it."""
        if position <= self.at.position:
            return []
        entry = decode_entry(headers, value)
        counted = self.fence.counted(entry, position)
        self.at = AsOf(self.at.journal, position)
        if counted.source:
            rows = pl.DataFrame(counted.rows)
            now = self.clock.see(rows)
            accepted = Accepted(self.at, counted.source, counted.ranges, rows, now)
            for concern in self.concerns:
                concern.apply(accepted)
        return self.due()

    def due(self) -> list[Alert]:
        """How the alerts stand that the state says something new about."""
        now = self.clock.now()
        return [alert for concern in self.concerns for alert in concern.alerts(self.at, now)]


@dataclass(slots=True)
class Drift:
    """The last comparison with ClickHouse: counters that differ, and when it was made."""

    differing: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Counter to (guard, ClickHouse)."""
    position: int = -1
    checked_at: datetime | None = None


async def load_follower(
    make_concerns: Callable[[], Sequence[Concern]],
    clickhouse: ClickHouse,
    journal: str,
    committed: int,
    stop: asyncio.Event,
) -> Follower:
    """Concerns loaded as of the ledger's position, once that is at least ``committed - 1``."""
    ledger = Ledger(clickhouse, journal)
    while True:
        progress = await asyncio.to_thread(ledger.progress)
        if progress.position >= committed - 1 or stop.is_set():
            break
        log.info("waiting for the ledger: at %d, needed %d", progress.position, committed - 1)
        await sleep_unless(stop, 0.2)
    at = AsOf(journal, progress.position)
    marks = {key: Mark(following, pos) for key, (following, pos) in progress.marks.items()}
    concerns = list(make_concerns())
    clock = EventClock(await asyncio.to_thread(_newest_minute, clickhouse, at))

    def load() -> None:
        for concern in concerns:
            concern.load(clickhouse, at, clock.now())

    await asyncio.to_thread(load)
    return Follower(concerns, Fence(marks, progress.adjusted, since=at.position), at, clock)


def _newest_minute(clickhouse: ClickHouse, at: AsOf) -> datetime:
    ((newest,),) = clickhouse.query(
        f"SELECT toUnixTimestamp(max(minute)) FROM spend WHERE {AsOf.SQL} AND minute <= now()",
        at.parameters,
    )
    return datetime.fromtimestamp(int(newest), UTC)


async def compare(concern: Concern, follower: Follower, clickhouse: ClickHouse) -> Drift | None:
    """Compare a concern with a fresh load as of its position; None where the ledger is behind."""
    at, now, counters = follower.at, follower.clock.now(), dict(concern.counters())
    fresh = concern.fresh()

    def load() -> bool:
        if Ledger(clickhouse, at.journal).progress().position < at.position:
            return False
        fresh.load(clickhouse, at, now)
        return True

    try:
        if not await asyncio.to_thread(load):
            return None
    except ClickHouseError as error:
        log.warning("drift of %s was not checked: %s", concern.name, error)
        return None
    expected = fresh.counters()
    differing = {
        name: (counters.get(name, 0), expected.get(name, 0))
        for name in counters.keys() | expected.keys()
        if counters.get(name, 0) != expected.get(name, 0)
    }
    return Drift(differing, at.position, datetime.now(UTC))
