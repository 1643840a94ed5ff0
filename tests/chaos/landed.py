"""How far every copy has got, and when what was published by a moment is in all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.topics import JOURNAL, USAGE
from sinks.archive import Archive
from sinks.clickhouse import ClickHouse, ClickHouseError
from sinks.ledger import Ledger
from tests.chaos.waiting import until
from tests.chaos.world import World


@dataclass(frozen=True, slots=True)
class Landed:
    """Per partition the offset that is due next, and the ledger's newest journal entry."""

    ledger: Mapping[int, int]
    archive: Mapping[int, int]
    position: int

    def has(self, cut: Mapping[int, int]) -> bool:
        """True where both have every offset before the cut."""
        return all(
            copy.get(partition, 0) >= end
            for partition, end in cut.items()
            for copy in (self.ledger, self.archive)
        )


class Watch:
    """Looks at the copies of one cluster, past the proxy."""

    def __init__(self, world: World, cluster: str) -> None:
        self._world = world
        self.source = f"{cluster}/{USAGE}"
        self.journal = f"{cluster}/{JOURNAL}"

    async def landed(self) -> Landed | None:
        """How far they are; None while ClickHouse does not answer."""
        try:
            return await asyncio.to_thread(self._look, self._world.clickhouse)
        except ClickHouseError:
            return None

    async def until_landed(self, cut: Mapping[int, int], seconds: float) -> float:
        """Wait until ledger, archive and guard have all before the cut; when (monotonic).

        Raises Stuck.
        """
        needed: int | None = None
        last: Landed | None = None

        async def look() -> bool:
            nonlocal needed, last
            if needed is None:
                last = await self.landed()
                if last is None or not last.has(cut):
                    return False
                needed = last.position
            guard = await self._world.guard()
            return guard is not None and int(guard["position"]) >= needed

        await until(
            f"everything up to {dict(sorted(cut.items()))} is in ledger, archive and guard",
            look,
            seconds,
        )
        return time.monotonic()

    async def until_following(self, seconds: float) -> None:
        """Wait until the active guard is exactly where the ledger is."""

        async def look() -> bool:
            landed, guard = await self.landed(), await self._world.guard()
            return bool(landed and guard) and int(guard["position"]) == landed.position  # type: ignore[index,union-attr]

        await until("the guard is where the ledger is", look, seconds)

    def _look(self, clickhouse: ClickHouse) -> Landed:
        progress = Ledger(clickhouse, self.journal).progress()
        return Landed(
            {key.partition: following for key, (following, _) in progress.marks.items()},
            Archive(clickhouse, self.source).next_offsets(),
            progress.position,
        )
