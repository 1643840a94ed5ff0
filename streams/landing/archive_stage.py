"""The process of `spendstream sink archive`: usage and outcomes, a consumer for each."""

from __future__ import annotations

import asyncio

from schemas.wire import SchemaLookup
from streams.health import Status, apart
from streams.landing.archive import ArchiveSink
from streams.landing.outcomes import OutcomeSink
from streams.rating.pricebook import PriceBook
from streams.settings import Settings


class ArchiveStage:
    """Both sinks. Where one of them fails both end, and the supervisor starts them again."""

    def __init__(self, settings: Settings, book: PriceBook, lookup: SchemaLookup) -> None:
        self._archive = ArchiveSink(settings, book, lookup)
        self._outcomes = OutcomeSink(settings)

    async def run(self, stop: asyncio.Event) -> None:
        """Land usage and outcomes until told to stop."""
        sinks = [apart(self._archive.run(stop)), apart(self._outcomes.run(stop))]
        try:
            await asyncio.wait(sinks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.set()
            ends = await asyncio.gather(*sinks, return_exceptions=True)
        for end in ends:
            if end is not None:
                raise end

    def status(self) -> Status:
        """The archive's word; not ready either while outcomes are not landed."""
        archive, outcomes = self._archive.status(), self._outcomes.status()
        if archive.ready and not outcomes.ready:
            return Status(False, f"outcomes: {outcomes.doing}", archive.behind, archive.queued)
        return archive
