"""The client's `Quotas` by Kafka and by HTTP: what a guard publishes is decided by, and its silence
is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import spendstream
from spendstream import Decision, Quotas

from schemas.quotas import HEARTBEAT_KEY, STAMP_HEADER, Heartbeat, Stamp
from schemas.topics import QUOTAS
from streams.kafka import producer
from streams.settings import Settings
from streams.stage import Stopped
from streams.web.doorkeeper import Doorkeeper
from streams.web.stage import WebStage
from tests.support.quotas import definition, stamp, state
from tests.support.stores import running_stores

pytestmark = pytest.mark.slow

ANN = state("users", 100, allowed=False, valid_until="2999-01-01T00:00:00Z")
TRANSPORTS = ("kafka", "http")


class Publisher:
    """In place of an active guard: publishes, and says every so often that it is at work."""

    def __init__(self, settings: Settings) -> None:
        self._producer = producer(settings)
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        await self._producer.start()
        while True:
            as_of = stamp().model_copy(update={"at": datetime.now(UTC)})
            await self.publish(HEARTBEAT_KEY, Heartbeat(as_of=as_of).model_dump_json(), as_of)
            await asyncio.sleep(0.3)

    async def publish(self, key: str, value: str | None, as_of: Stamp) -> None:
        await self._producer.send_and_wait(
            QUOTAS,
            None if value is None else value.encode(),
            key=key.encode(),
            partition=0,
            headers=[] if value else [(STAMP_HEADER, as_of.model_dump_json().encode())],
        )

    async def end(self) -> None:
        self._beating.cancel()
        await asyncio.gather(self._beating, return_exceptions=True)
        await self._producer.stop()


@asynccontextmanager
async def web_stage(settings: Settings) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    running = asyncio.create_task(WebStage(settings, Doorkeeper(None)).run(stop))
    try:
        yield stop
    finally:
        stop.set()
        (outcome,) = await asyncio.gather(running, return_exceptions=True)
        assert outcome is None or isinstance(outcome, Stopped)


@asynccontextmanager
async def followers(settings: Settings) -> AsyncIterator[Mapping[str, Quotas]]:
    urls = {
        "kafka": f"kafka://{settings.kafka}",
        "http": f"http://127.0.0.1:{settings.ingest_port}",
    }
    found = {
        name: spendstream.Quotas(url, fail="closed" if name == "kafka" else "open", stale_after=3.0)
        for name, url in urls.items()
    }
    try:
        yield found
    finally:
        for quotas in found.values():
            await asyncio.to_thread(quotas.close)


async def until(
    quotas: Mapping[str, Quotas], condition: Callable[[Decision], bool]
) -> list[Decision]:
    """Until it is so of what each says of ann."""

    def decisions() -> list[Decision]:
        return [quotas[name].decide(user="ann", team="search") for name in TRANSPORTS]

    async with asyncio.timeout(40):
        while not all(condition(one) for one in decisions()):  # noqa: ASYNC110 - other threads'
            await asyncio.sleep(0.05)
    return decisions()


async def test_what_is_published_is_decided_by_until_nobody_is_heard_any_more(tmp_path: Path):
    async with AsyncExitStack() as stack, AsyncExitStack() as stores:
        settings = await stores.enter_async_context(running_stores(tmp_path))
        await stack.enter_async_context(web_stage(settings))
        quotas = await stack.enter_async_context(followers(settings))
        guard = Publisher(settings)
        for one in await until(quotas, lambda one: one.known):
            assert (one.allowed, one.why) == (True, "No budget applies.")
        budget = definition()
        await guard.publish(budget.key, budget.model_dump_json(), budget.as_of)
        await guard.publish(ANN.key, ANN.model_dump_json(), ANN.as_of)
        for one in await until(quotas, lambda one: one.known and not one.allowed):
            assert (one.budget, one.why) == ("users", ANN.reason)
            assert one.resets_at == ANN.period_end
        await guard.publish(ANN.key, None, stamp(8))
        await until(quotas, lambda one: one.known and one.allowed)

        # The guard is silent; the broker and the stream are not.
        await guard.end()
        by_kafka, by_http = await until(quotas, lambda one: not one.known)
        assert (by_kafka.allowed, by_http.allowed) == (False, True)
        assert by_kafka.why.startswith("Nothing was heard of quotas from kafka://")
        assert by_kafka.why.endswith("; calls are refused meanwhile (fail=closed).")
        assert by_http.why.endswith("; calls are allowed meanwhile (fail=open).")

        guard = Publisher(settings)
        await until(quotas, lambda one: one.known)
        await guard.end()
        await stores.aclose()
        await until(quotas, lambda one: not one.known)
