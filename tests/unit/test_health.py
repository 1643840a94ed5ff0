"""Alive and ready: who breaks a promise is named, and who waits for a neighbour is not to blame."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from sinks.channels import Backoff
from sinks.clickhouse import ClickHouseUnavailable
from streams import stage
from streams.health import (
    Health,
    Status,
    apart,
    beat,
    doing,
    done,
    heartbeat,
    resuming,
    working,
)
from streams.lag import Behind
from streams.stage import persist
from streams.watched_clickhouse import WatchedClickHouse
from streams.work import ALIVE_SECONDS, PATIENCE_SECONDS, READY_SECONDS


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Iterator[Health]:
    watched = Health("meter", lambda: Status(True, "metering"), clock)
    with watched.watching():
        yield watched


def stuck(health: Health) -> list[tuple[str, str]]:
    status, body = health.alive()
    assert status == (503 if body["stuck"] else 200)
    assert body["alive"] is (not body["stuck"])
    return sorted((work["work"], work["doing"]) for work in body["stuck"])


def stalled(health: Health) -> list[str]:
    status, body = health.ready()
    assert status == (200 if body["ready"] else 503)
    return sorted(work["work"] for work in body["stalled"])


def test_the_limits_show_whoever_is_stuck_within_half_a_minute():
    assert ALIVE_SECONDS < 30
    assert READY_SECONDS <= 30


def test_work_that_gives_no_sign_of_life_is_stuck_and_named(health, clock):
    with working("loop"), doing("waiting for nothing"):
        clock.pass_(ALIVE_SECONDS)
        assert stuck(health) == []
        clock.pass_(0.1)
        assert stuck(health) == [("loop", "waiting for nothing")]
        assert health.ready()[0] == 503
    assert stuck(health) == []


def test_a_loop_that_comes_round_is_alive_and_ready(health, clock):
    with working("loop") as turn:
        for _ in range(10):
            clock.pass_(ALIVE_SECONDS - 1)
            turn.begin()
            assert stuck(health) == []
            assert stalled(health) == []


def test_a_turn_that_goes_on_for_too_long_is_alive_and_not_ready(health, clock):
    with working("loop"):
        for _ in range(10):
            clock.pass_(READY_SECONDS / 5)
            beat()
        assert stuck(health) == []
        assert stalled(health) == ["loop"]


def test_what_nobody_waits_for_may_take_long(health, clock):
    with working("comparing", awaited=False):
        for _ in range(10):
            clock.pass_(ALIVE_SECONDS)
            beat()
        assert stalled(health) == []
        assert health.ready()[0] == 200


def test_who_waits_for_a_part_that_keeps_its_promise_is_not_stuck(health, clock):
    with working("loop"), working("flushing") as flushing:
        flushing.beat(within=100)
        clock.pass_(100)
        assert stuck(health) == []
        clock.pass_(1)
        assert stuck(health) == [("flushing", ""), ("loop", "")]


def test_a_part_that_ends_is_a_sign_of_life_of_the_whole(health, clock):
    with working("loop"):
        with working("flushing") as flushing:
            flushing.beat(within=100)
            clock.pass_(99)
        assert stuck(health) == []
        clock.pass_(ALIVE_SECONDS + 1)
        assert stuck(health) == [("loop", "")]


def test_a_part_that_is_stuck_is_named_beside_the_whole(health, clock):
    with working("loop"), working("collecting"):
        clock.pass_(ALIVE_SECONDS + 1)
        assert stuck(health) == [("collecting", ""), ("loop", "")]


def test_a_heartbeat_that_stops_is_stuck_and_its_turns_are_signs_of_life(health, clock):
    timers = heartbeat("timers")
    for _ in range(5):
        clock.pass_(ALIVE_SECONDS - 1)
        with resuming(timers):
            clock.pass_(2)
            beat()
        assert stuck(health) == []
    clock.pass_(ALIVE_SECONDS + 1)
    assert stuck(health) == [("timers", "")]


def test_nothing_is_expected_of_the_excused_until_they_are_no_longer(health, clock):
    closed = True
    with working("following", excused=lambda: closed):
        clock.pass_(1000)
        assert stuck(health) == []
        assert stalled(health) == []
        assert not health.anybody_is_late()
        closed = False
        assert stuck(health) == []
        clock.pass_(ALIVE_SECONDS + 1)
        assert stuck(health) == [("following", "")]


def test_only_who_has_been_silent_is_excused_when_the_broker_is_away(health, clock):
    with working("loop"):
        clock.pass_(9)
        assert not health.anybody_is_late()
        clock.pass_(2)
        assert health.anybody_is_late()
        health.excuse()
        assert not health.anybody_is_late()
        clock.pass_(ALIVE_SECONDS - 1)
        assert stuck(health) == []
        clock.pass_(READY_SECONDS)
        assert stalled(health) == ["loop"]


async def test_whoever_tries_again_is_alive_and_after_half_a_minute_not_ready(
    health, clock, monkeypatch
):
    monkeypatch.setattr(stage, "PATIENCE", Backoff(first=0.001, factor=1.0, cap=0.001))
    seen = []

    async def flaky() -> str:
        clock.pass_(ALIVE_SECONDS - 1)
        seen.append((stuck(health), stalled(health)))
        if len(seen) < 4:
            raise ClickHouseUnavailable("away") if len(seen) % 2 else KafkaError("away")
        return "there"

    with working("loop"):
        assert await persist("flushing", flaky, asyncio.Event()) == "there"
    assert seen == [([], []), ([], ["loop"]), ([], ["loop"]), ([], ["loop"])]


async def test_a_try_that_never_returns_is_stuck_and_says_what_it_was(health, clock):
    async def never() -> None:
        await asyncio.Event().wait()

    async def loop() -> None:
        with working("loop"):
            await persist("appending to the journal", never, asyncio.Event())

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    clock.pass_(ALIVE_SECONDS + 1)
    assert stuck(health) == [("loop", "appending to the journal")]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_task_apart_gives_no_signs_of_life_for_who_has_begun_it(health, clock):
    async def other() -> None:
        beat()
        done("flush")

    with working("loop"):
        clock.pass_(ALIVE_SECONDS + 1)
        await apart(other())
        assert stuck(health) == [("loop", "")]
        await asyncio.create_task(other())
        assert stuck(health) == []
    assert list(health.ages(health.status())) == ["flush"]


async def test_a_thread_gives_signs_of_life_for_who_waits_for_it(health, clock):
    with working("loop"):
        clock.pass_(ALIVE_SECONDS + 1)
        await asyncio.to_thread(beat)
        assert stuck(health) == []


def test_outside_of_a_stage_work_is_only_work():
    with working("loop") as turn, doing("something"):
        turn.begin()
        beat()
        done("poll")


async def test_a_clickhouse_that_hangs_makes_its_stage_not_ready_and_does_not_kill_it(
    health, clock
):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        connection = WatchedClickHouse(url)

        async def flush() -> None:
            with working("flushing"):
                await asyncio.to_thread(connection.query, "SELECT 1")

        flushing = asyncio.create_task(flush())
        accepted, _ = await asyncio.to_thread(listener.accept)
        clock.pass_(READY_SECONDS + 60)
        assert stuck(health) == []
        assert stalled(health) == ["flushing"]
        clock.pass_(PATIENCE_SECONDS)
        assert stuck(health) == [("flushing", "")]
        listener.close()
        accepted.close()
    with pytest.raises(ClickHouseUnavailable):
        await flushing


def test_a_broker_that_is_silent_makes_a_stage_not_ready(clock):
    silence = 1.0
    tp = TopicPartition("llm.usage", 3)
    health = Health("meter", lambda: Status(True, "metering", Behind({tp: 7}, silence)), clock)
    status, body = health.ready()
    assert (status, body["lag"]) == (200, {"llm.usage[3]": 7})
    assert body["age_seconds"] == {"fetch": 1.0}
    silence = READY_SECONDS + 1
    status, body = health.ready()
    assert status == 503
    assert "broker has not answered for 31 s" in body["doing"]
    assert health.alive()[0] == 200


def test_a_stage_that_is_not_ready_says_what_it_does(clock):
    health = Health("archive", lambda: Status(False, "finding where to resume"), clock)
    status, body = health.ready()
    assert status == 503
    assert (body["stage"], body["doing"]) == ("archive", "finding where to resume")


def test_ages_count_from_the_last_time_and_what_never_was_has_none(health, clock):
    done("poll")
    clock.pass_(3)
    done("flush")
    clock.pass_(2)
    done("poll")
    assert health.ages(health.status()) == {"poll": 0, "flush": 2}


def test_it_can_be_asked_while_work_begins_and_ends_in_other_threads(health):
    ended = threading.Event()

    def work() -> None:
        with health.watching():
            while not ended.is_set():
                with working("one"), working("two"):
                    beat()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        answers = {health.alive()[0] for _ in range(2000)}
    finally:
        ended.set()
        for worker in workers:
            worker.join()
    assert answers == {200}
