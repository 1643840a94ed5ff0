"""Trying again: for every neighbour, until it works or the stage is told to stop."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from sinks.channels import Backoff
from sinks.clickhouse import ClickHouseRefused
from streams import stage
from streams.metrics import RETRIES
from streams.schema_registry import RegistryUnavailable
from streams.stage import Stopped, persist


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PATIENCE", Backoff(first=0.001, factor=1.0, cap=0.001))
    monkeypatch.setattr(stage, "GRACE_SECONDS", 0.01)


def retries(neighbour: str) -> float:
    (metric,) = RETRIES.labels(neighbour).collect()
    return next(s.value for s in metric.samples if s.name.endswith("_total"))


@pytest.mark.parametrize(
    ("error", "neighbour"),
    [
        (KafkaConnectionError("away"), "kafka"),
        (ConnectionResetError("away"), "kafka"),
        (ClickHouseRefused("away"), "clickhouse"),
        (RegistryUnavailable("away"), "schema_registry"),
    ],
    ids=repr,
)
async def test_a_try_that_failed_is_made_again_and_counted_for_its_neighbour(error, neighbour):
    tries = 0

    async def third_time() -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise error
        return "there"

    before = retries(neighbour)
    assert await persist("reaching it", third_time, asyncio.Event()) == "there"
    assert retries(neighbour) - before == 2


async def test_an_error_of_our_own_is_not_tried_again():
    async def wrong() -> None:
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        await persist("doing it", wrong, asyncio.Event())


async def test_who_is_told_to_stop_does_not_try_again():
    stop = asyncio.Event()

    async def away() -> None:
        stop.set()
        raise KafkaConnectionError("away")

    with pytest.raises(Stopped):
        await persist("reaching it", away, stop)


async def test_a_try_that_hangs_is_broken_off_for_stop_where_it_may_be():
    stop = asyncio.Event()
    broken_off = asyncio.Event()

    async def hangs() -> None:
        try:
            stop.set()
            await asyncio.Event().wait()
        finally:
            broken_off.set()

    with pytest.raises(Stopped):
        await persist("reaching it", hangs, stop, abandon=True)
    assert broken_off.is_set()


async def test_a_try_that_comes_through_counts_though_stop_was_set_meanwhile():
    stop = asyncio.Event()

    async def there() -> str:
        stop.set()
        return "there"

    assert await persist("reaching it", there, stop, abandon=True) == "there"
