"""The web stage's producer on a real broker that stops answering and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.topics import USAGE
from schemas.usage import UsageEvent, checked
from schemas.wire import decode
from streams.kafka import consumer
from streams.stack.ports import Ports
from streams.stack.stack import Stack
from streams.web import publisher
from streams.web.publisher import Publisher, encoded
from streams.web.refused import RequestRefused
from tests.support.events import call
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SECONDS = 1.5


def event(event_id: str, team: str = "search") -> tuple[UsageEvent, bytes]:
    made = checked(call(event_id, team, 1))
    return made, encoded(made)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    running = Stack(tmp_path, Ports.free())
    try:
        await running.start_stores()
        yield running
    finally:
        await running.stop()


async def published(stack: Stack, ids: set[str]) -> set[tuple[int, bytes]]:
    """Partition and key of all records, up to the one by which every id has been seen."""
    reader = consumer(stack.settings, USAGE)
    await reader.start()
    places = set()
    try:
        async with asyncio.timeout(20):
            while ids:
                record = await reader.getone()
                ids = ids - {decode(record.value).event_id}
                places.add((record.partition, record.key))
    finally:
        await reader.stop()
    return places


async def test_a_broker_that_stops_answering_is_told_of_and_its_return_is_noticed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(publisher, "ACK_SECONDS", SECONDS)
    monkeypatch.setattr(publisher, "MAX_RECORDS_UNDER_WAY", 3)
    sender = Publisher(stack.settings)
    await sender.start()
    broker = stack.parts["broker"].pid
    assert broker is not None
    try:
        await sender.publish([event("1"), event("2", "ads")])
        assert (sender.records, sender.bytes, sender.silence) == (0, 0, None)

        os.kill(broker, signal.SIGSTOP)
        waiting = asyncio.create_task(sender.publish([event("3"), event("4"), event("5")]))
        await asyncio.to_thread(wait_until, "three under way", lambda: sender.records == 3)
        with pytest.raises(RequestRefused) as caught:
            await sender.publish([event("never")])
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, "1")
        with pytest.raises(RequestRefused) as caught:
            await waiting
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "1")
        assert "send all again, with the same ids" in str(caught.value)

        os.kill(broker, signal.SIGCONT)
        await asyncio.to_thread(wait_until, "none under way", lambda: sender.records == 0)
        await sender.publish([event("3"), event("4"), event("5")])
    finally:
        os.kill(broker, signal.SIGCONT)
        await sender.stop()
    places = await published(stack, {"1", "2", "3", "4", "5"})
    assert sorted(team for _, team in places) == [b"ads", b"search"], "a partition for each team"
