"""Against a real broker: events arrive, in order, and every one is accounted for."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
import spendstream
from fastavro import parse_schema, schemaless_reader
from spendstream import _rules
from spendstream._avro import SCHEMA

pytestmark = pytest.mark.slow  # a broker of its own

CALL = {"provider": "openai", "model": "gpt-4o-mini", "team": "search", "input_tokens": 12}
FINGERPRINTED = b"\xc3\x01"


def decoded(record) -> dict:
    assert record.value[:2] == FINGERPRINTED
    return schemaless_reader(BytesIO(record.value[10:]), parse_schema(SCHEMA), None)


async def test_events_arrive_in_order_per_key_and_decode(broker, topic):
    teams = ["search", "ads", "zürich"]
    with spendstream.Emitter(broker.url, topic=topic, strict=True) as meter:
        for number in range(300):
            meter.emit(**CALL | {"team": teams[number % 3], "output_tokens": number})
        assert await asyncio.to_thread(meter.flush)
        assert meter.stats.delivered == 300
    records = await broker.records(topic, 300)
    assert len(records) == 300
    for team in teams:
        numbers = [decoded(r)["output_tokens"] for r in records if r.key == team.encode()]
        assert numbers == [number for number in range(300) if teams[number % 3] == team]


async def test_many_threads_may_emit(broker, topic):
    meter = spendstream.Emitter(broker.url, topic=topic)

    def work(thread: int) -> list[str | None]:
        return [meter.emit(**CALL, workflow=f"{thread}") for _ in range(200)]

    with ThreadPoolExecutor(4) as pool:
        ids = [event_id for found in pool.map(work, range(4)) for event_id in found]
    stats = await asyncio.to_thread(meter.close)
    assert (stats.emitted, stats.delivered) == (800, 800)
    assert {decoded(r)["event_id"] for r in await broker.records(topic, 800)} == set(ids)


async def test_the_asyncio_emitter_delivers(broker, topic):
    async with spendstream.AsyncEmitter(broker.url, topic=topic, strict=True) as meter:
        event_id = meter.emit(**CALL)
        assert await meter.flush()
        assert meter.stats.delivered == 1
    (record,) = await broker.records(topic, 1)
    assert decoded(record)["event_id"] == event_id
    assert record.key == b"search"


@pytest.mark.parametrize("last_line", ["meter.close()", ""])
async def test_a_script_that_ends_right_after_loses_nothing(broker, topic, last_line):
    script = f"""
import spendstream

meter = spendstream.Emitter({broker.url!r}, topic={topic!r})
meter.emit(provider="openai", model="gpt-4o-mini", team="search", input_tokens=1200)
{last_line}
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=30)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    assert len(await broker.records(topic, 1)) == 1


async def test_a_broker_that_comes_up_late_gets_what_was_queued(absent_broker, caplog):
    topic = "llm.usage"
    meter = spendstream.Emitter(absent_broker.url, topic=topic)
    ids = [meter.emit(**CALL) for _ in range(5)]
    await asyncio.to_thread(_until, lambda: "trying on" in caplog.text)
    with absent_broker.running():
        await absent_broker.make_topic(topic)
        assert await asyncio.to_thread(meter.flush, 15)
        records = await absent_broker.records(topic, 5)
        assert [decoded(record)["event_id"] for record in records] == ids
        assert (await asyncio.to_thread(meter.close)).delivered == 5
    said = [record for record in caplog.records if record.name == "spendstream"]
    assert sum(record.levelname == "WARNING" for record in said) == 1


async def test_a_broker_that_hangs_does_not_hold_up_close(absent_broker):
    with absent_broker.running() as process:
        await absent_broker.make_topic("llm.usage")
        meter = spendstream.Emitter(absent_broker.url)
        meter.emit(**CALL)
        assert await asyncio.to_thread(meter.flush)
        process.send_signal(signal.SIGSTOP)
        for _ in range(1000):
            meter.emit(**CALL)
        start = time.monotonic()
        stats = await asyncio.to_thread(meter.close, 0.2)
        assert time.monotonic() - start < 0.2 + 1.0
    assert (stats.delivered, stats.dropped_undelivered, stats.pending) == (1, 1000, 0)


async def test_events_wait_for_a_broker_that_hangs_for_a_moment(absent_broker):
    with absent_broker.running() as process, spendstream.Emitter(absent_broker.url) as meter:
        await absent_broker.make_topic("llm.usage")
        ids = [meter.emit(**CALL)]
        assert await asyncio.to_thread(meter.flush)
        process.send_signal(signal.SIGSTOP)
        ids += [meter.emit(**CALL) for _ in range(20)]
        assert await asyncio.to_thread(meter.flush, 0.1) is False
        process.send_signal(signal.SIGCONT)
        assert await asyncio.to_thread(meter.flush, 15)
        records = await absent_broker.records("llm.usage", 21)
    assert [decoded(record)["event_id"] for record in records] == ids


async def test_with_a_spool_what_the_library_gives_up_on_is_handed_over_again(
    absent_broker, tmp_path
):
    with absent_broker.running() as process:
        await absent_broker.make_topic("llm.usage")
        meter = spendstream.Emitter(absent_broker.url, spool=tmp_path, delivery_timeout=0.3)
        ids = [meter.emit(**CALL)]
        assert await asyncio.to_thread(meter.flush)
        process.send_signal(signal.SIGSTOP)
        ids += [meter.emit(**CALL) for _ in range(3000)]
        assert await asyncio.to_thread(meter.flush, 2) is False
        assert meter.stats.pending == 3000
        process.send_signal(signal.SIGCONT)
        assert await asyncio.to_thread(meter.flush, 15)
        stats = await asyncio.to_thread(meter.close)
        missing = set(ids)
        deadline = time.monotonic() + 10
        # What it had received before it stopped, it may have written as well.
        async with absent_broker.consumer("llm.usage") as consumer:
            while missing and time.monotonic() < deadline:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    missing -= {decoded(record)["event_id"] for record in batch}
    assert (stats.delivered, stats.dropped_undelivered) == (3001, 0)
    assert missing == set()
    assert list(tmp_path.iterdir()) == []


async def test_an_event_too_large_for_the_broker_is_counted_and_holds_up_nothing(
    broker, topic, monkeypatch
):
    # A broker may be set to take less than the largest event.
    monkeypatch.setattr(_rules, "MAX_EVENT_BYTES", 2_000_000)
    meter = spendstream.Emitter(broker.url, topic=topic)
    meter.emit(**CALL, tags={f"{number}": "x" * 1000 for number in range(1100)})
    meter.emit(**CALL)
    stats = await asyncio.to_thread(meter.close)
    assert (stats.delivered, stats.rejected) == (1, 1)
    assert stats.reasons == {"event_too_large": 1}


def _until(condition, within: float = 10) -> None:
    """Poll for what another thread does and nothing announces."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
