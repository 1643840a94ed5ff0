"""The guard's state: every concern, as of one journal position, and the start rule.

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
from streams.guard.concern import Accepted, AsOf, Concern
from streams.journal.fence import Fence, Mark
from streams.stage import sleep_unless

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Follower:
    """One concern and how far it has followed the journal."""

    concern: Concern
    fence: Fence
    at: AsOf

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
            self.concern.apply(Accepted(self.at, counted.source, counted.ranges, rows))
        return self.due()

    def due(self) -> list[Alert]:
        """Transitions that the state stands for now."""
        return list(self.concern.alerts(self.at, datetime.now(UTC)))


@dataclass(slots=True)
class Drift:
    """The last comparison with ClickHouse: counters that differ, and when it was made."""

    differing: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Counter to (guard, ClickHouse)."""
    position: int = -1
    checked_at: datetime | None = None


async def load_followers(
    make_concerns: Callable[[], Sequence[Concern]],
    clickhouse: ClickHouse,
    journal: str,
    committed: int,
    stop: asyncio.Event,
) -> list[Follower]:
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

    def load() -> None:
        for concern in concerns:
            concern.load(clickhouse, at)

    await asyncio.to_thread(load)
    return [
        Follower(concern, Fence(marks, progress.adjusted, since=at.position), at)
        for concern in concerns
    ]


async def compare(follower: Follower, clickhouse: ClickHouse) -> Drift | None:
    """Compare a concern with a fresh load as of its position; None where the ledger is behind."""
    at, counters = follower.at, dict(follower.concern.counters())
    fresh = follower.concern.fresh()

    def load() -> bool:
        if Ledger(clickhouse, at.journal).progress().position < at.position:
            return False
        fresh.load(clickhouse, at)
        return True

    try:
        if not await asyncio.to_thread(load):
            return None
    except ClickHouseError as error:
        log.warning("drift of %s was not checked: %s", follower.concern.name, error)
        return None
    expected = fresh.counters()
    differing = {
        name: (counters.get(name, 0), expected.get(name, 0))
        for name in counters.keys() | expected.keys()
        if counters.get(name, 0) != expected.get(name, 0)
    }
    return Drift(differing, at.position, datetime.now(UTC))
