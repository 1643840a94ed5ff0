"""The three routes of a stage, over real HTTP, from a thread that the stage cannot block."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition

from schemas.errors import UserError
from streams.health import Health, Status, done, working
from streams.health_server import observe, serving
from streams.lag import Behind
from streams.metrics import CATALOGUE, registry_of
from streams.work import ALIVE_SECONDS


class Stage:
    """What a stage says of itself, as the test likes it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.said = Status(True, "metering")
        self.health = Health("meter", lambda: self.said, lambda: self.now)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    with stage.health.watching():
        yield stage


def get(port: int | None, path: str) -> tuple[int, str, bytes]:
    url = f"http://127.0.0.1:{port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def metrics(port: int | None) -> dict[str, float]:
    """Sample as it is written to its value."""
    status, content_type, body = get(port, "/metrics")
    assert (status, content_type.partition(";")[0]) == (200, "text/plain")
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_stage_that_is_well_answers_200_on_every_route(stage):
    with serving(stage.health, "127.0.0.1", 0) as port, working("loop"):
        for path in ("/healthz", "/readyz"):
            status, content_type, body = get(port, path)
            assert (status, content_type) == (200, "application/json")
            assert json.loads(body)["stage"] == "meter"
        assert metrics(port)["spendstream_ready"] == 1


def test_a_stage_that_is_stuck_answers_503_and_names_what_is_stuck(stage):
    with serving(stage.health, "127.0.0.1", 0) as port, working("loop"):
        stage.now += ALIVE_SECONDS + 1
        status, _, body = get(port, "/healthz")
        assert status == 503
        assert [work["work"] for work in json.loads(body)["stuck"]] == ["loop"]
        assert get(port, "/readyz")[0] == 503
        assert metrics(port)["spendstream_ready"] == 0


def test_another_path_is_not_found_and_says_what_there_is(stage):
    with serving(stage.health, "127.0.0.1", 0) as port:
        status, _, body = get(port, "/")
    assert status == 404
    assert b"/healthz, /readyz and /metrics" in body


async def test_a_stage_whose_event_loop_is_blocked_says_so(stage):
    """What blocks it here is the probe itself: the loop does not run until it has its answer."""
    with serving(stage.health, "127.0.0.1", 0) as port, working("loop"):
        stage.now += ALIVE_SECONDS + 1
        assert asyncio.get_running_loop().is_running()
        assert get(port, "/healthz")[0] == 503


def test_the_gauges_are_those_of_the_moment(stage):
    three, four = TopicPartition("llm.usage", 3), TopicPartition("llm.usage", 4)
    name = 'spendstream_lag_records{{partition="{}",topic="llm.usage"}}'.format
    with serving(stage.health, "127.0.0.1", 0) as port:
        done("append")
        stage.now += 5
        stage.said = Status(False, "", Behind({three: 7, four: None}, 0.5), {"records": 12})
        found = metrics(port)
        assert found[name(3)] == 7
        assert name(4) not in found, "what is not known is not there"
        assert found['spendstream_queued{queue="records"}'] == 12
        assert found['spendstream_step_age_seconds{step="append"}'] == 5
        assert found['spendstream_step_age_seconds{step="fetch"}'] == 0.5
        assert found["spendstream_ready"] == 0
        stage.said = Status(True, "", Behind({four: 0}))
        found = metrics(port)
        assert found[name(4)] == 0
        assert name(3) not in found, "the partition is another one's now"


@pytest.mark.parametrize("stage_name", ["meter", "ledger", "archive", "guard"])
def test_a_process_exposes_the_metrics_of_its_own_stage_only(stage_name):
    observe(Health(stage_name, lambda: Status(True, "")))
    exposed = {family.name for family in registry_of(stage_name).collect()}
    own = {m.name.removesuffix("_total") for m in CATALOGUE if stage_name in m.stages}
    assert {name for name in exposed if name.startswith("spendstream_")} == own


def test_a_port_in_use_is_one_line_with_its_setting(stage):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(UserError, match=f"127.0.0.1:{port}.*SPENDSTREAM_HEALTH_PORT"),
            serving(stage.health, "127.0.0.1", port),
        ):
            pass


def test_a_host_that_is_none_of_ours_is_one_line_too(stage):
    with (
        pytest.raises(UserError, match=r"192\.0\.2\.1:9464.*SPENDSTREAM_HEALTH_HOST"),
        serving(stage.health, "192.0.2.1", 9464),
    ):
        pass


def test_without_a_port_nothing_is_served(stage):
    with serving(stage.health, "127.0.0.1", None) as port:
        assert port is None
        assert "health" not in {thread.name for thread in threading.enumerate()}


def test_nothing_is_left_behind(stage):
    with serving(stage.health, "127.0.0.1", 0) as port:
        pass
    assert "health" not in {thread.name for thread in threading.enumerate()}
    with socket.create_server(("127.0.0.1", port or 0)):
        pass
