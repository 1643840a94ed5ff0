"""A meter that is overtaken begins again at once; one that always is leaves time to the other."""

from __future__ import annotations

import asyncio

import pytest

from schemas.wire import no_registry
from streams.metering import meter as module
from streams.metering.appender import Overtaken
from streams.metering.meter import Meter
from streams.rating.pricebook import PriceBook
from streams.settings import Settings


async def overtaken() -> None:
    raise Overtaken([0])


async def accepted() -> None:
    return


async def test_it_waits_longer_each_time_until_something_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    begun = 0

    async def wait(_: asyncio.Event, seconds: float) -> None:
        waits.append(seconds)

    async def recover() -> None:
        nonlocal begun
        begun += 1

    meter = Meter(Settings(), PriceBook.load(None), no_registry)
    monkeypatch.setattr(module, "sleep_unless", wait)
    monkeypatch.setattr(meter, "_recover", recover)

    async def turn(append) -> list[float]:
        waits.clear()
        meter._appending = asyncio.create_task(append())
        await meter._begin_again(asyncio.Event())
        return waits.copy()

    assert await turn(overtaken) == [], "the first time it may be a takeover: nobody waits"
    second, third, fourth = [(await turn(overtaken))[0] for _ in range(3)]
    assert 0 < second < third < fourth
    await turn(accepted)
    assert await turn(overtaken) == []
    assert begun == 6
