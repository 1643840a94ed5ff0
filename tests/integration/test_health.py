"""Health on a real broker: who waits for one that is away is excused, and nobody else is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from schemas.topics import USAGE
from schemas.wire import no_registry
from streams.health import Health, Status, working
from streams.health_server import excusing, watch
from streams.journal.tail import JournalTail
from streams.lag import Behind
from streams.metering.meter import Meter
from streams.rating.pricebook import PriceBook
from streams.settings import Settings, load_settings
from streams.stack.ports import free_ports
from streams.work import ALIVE_SECONDS
from tests.support.stores import Journal, publish_usage, read_journal, running_stores
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

LATE = ALIVE_SECONDS / 2 + 1


class Clock:
    """Monotonic seconds that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Settings]:
    async with running_stores(tmp_path, usage_partitions=1, session_timeout_ms=1000) as settings:
        yield settings


async def until(what: str, condition: Callable[[], object], seconds: float = 30.0) -> None:
    await asyncio.to_thread(wait_until, what, condition, seconds)


async def journal_when(settings: Settings, done: Callable[[Journal], bool]) -> Journal:
    async with asyncio.timeout(40):
        while not done(journal := await read_journal(settings)):
            pass
    return journal


@asynccontextmanager
async def late(settings: Settings) -> AsyncIterator[Health]:
    """A stage with work that has been silent for a while, and that somebody looks after."""
    clock = Clock()
    tp = TopicPartition(USAGE, 0)
    health = Health("meter", lambda: Status(True, "", Behind({tp: None})), clock)
    with health.watching(), working("loop"):
        clock.ahead += LATE
        watching = asyncio.create_task(watch(health, settings))
        try:
            yield health
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def test_who_is_late_is_excused_where_the_broker_is_away() -> None:
    (nobody,) = free_ports(1)
    async with late(load_settings(kafka=f"127.0.0.1:{nobody}")) as health:
        await until("the excuse", lambda: not health.anybody_is_late(), ALIVE_SECONDS - LATE)


async def test_a_meter_whose_verdict_never_comes_is_stuck_and_says_for_what_it_waits(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: JournalTail, *_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(JournalTail, "verdict", never)
    clock, stop = Clock(), asyncio.Event()
    meter = Meter(stores, PriceBook.load(None), no_registry)
    health = Health("meter", meter.status, clock)
    with health.watching():
        running = asyncio.create_task(excusing(health, stores, meter.run)(stop))
        try:
            await until("the meter", lambda: meter.status().behind.lag and health.ready()[0] == 200)
            await publish_usage(stores, [b"{}"])
            await journal_when(stores, lambda journal: len(journal.accepted) == 1)
            assert health.alive()[0] == 200
            clock.ahead += LATE
            # It is asked whether the broker is away; it answers, so that nobody is excused.
            await until("being stuck", lambda: health.alive()[0] == 503, ALIVE_SECONDS)
            doing = {work["work"]: work["doing"] for work in health.alive()[1]["stuck"]}
            assert doing["appending"].startswith("waiting for the verdict on entry")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
