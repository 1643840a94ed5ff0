"""Each stage of a running stack tells its health, and one that is stopped or hangs shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from streams.stack.ports import free_ports
from streams.stack.run_file import run_file
from tests.support.events import call, write_events
from tests.support.running_stack import STAGES, RunningStack, clean_environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SECONDS = 30.0
"""Within which a stage that is stuck has to show."""
PROBE_SECONDS = 3.0

HANGING_METER = """
import asyncio, sys
from streams.metering import meter

make = meter.usage_consumer

def hanging(*arguments):
    consumer = make(*arguments)

    async def never(**_):
        await asyncio.Event().wait()

    consumer.getmany = never
    return consumer

meter.usage_consumer = hanging
from streams.cli.main import main
main(["meter"])
"""


def probe(port: int, path: str) -> tuple[int, bytes] | None:
    """What a probe gets; None where nobody answers in time."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PROBE_SECONDS) as got:
            return got.status, got.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return None


def status(port: int, path: str) -> int | None:
    answer = probe(port, path)
    return answer and answer[0]


def ports(stack: RunningStack) -> dict[str, int]:
    found: dict[str, int] = json.loads(run_file(stack.folder).read_text())["health"]
    return found


def health_lines(stack: RunningStack) -> dict[str, tuple[str, str]]:
    """Stage to what `spendstream doctor` says of its health."""
    findings: list[dict[str, Any]] = json.loads(stack.run("doctor", "--json").stdout)
    said = [f for f in findings if f["what"] == "health"]
    return {f["said"].partition(":")[0]: (f["level"], f["said"]) for f in said}


@pytest.fixture
def hanging_meter(stack: RunningStack) -> Iterator[int]:
    """The port of a meter that joins and then waits for what never comes."""
    (port,) = free_ports(1)
    settings = stack.settings
    environment = clean_environment(
        SPENDSTREAM_KAFKA=settings.kafka,
        SPENDSTREAM_CLICKHOUSE=settings.clickhouse,
        SPENDSTREAM_HEALTH_PORT=str(port),
    )
    command = [sys.executable, "-c", HANGING_METER]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        yield port
        process.kill()


def test_every_stage_answers_on_its_three_routes(stack, tmp_path):
    events = [call(f"{n}", "search", n) for n in range(3)] + [call("0", "search", 0)]
    stack.replay(write_events(tmp_path / "events.jsonl", events), "jsonl")
    assert set(ports(stack)) == set(STAGES)
    for stage, port in ports(stack).items():
        for path in ("/healthz", "/readyz"):
            code, body = probe(port, path) or (None, b"{}")
            assert code == 200, body
            assert json.loads(body)["stage"] == stage
        code, body = probe(port, "/metrics") or (None, b"")
        assert code == 200
        assert b"\nspendstream_ready 1.0\n" in body
    code, body = probe(ports(stack)["meter"], "/metrics") or (None, b"")
    assert b"\nspendstream_events_metered_total 3.0\n" in body
    assert b"\nspendstream_events_duplicate_total 1.0\n" in body
    assert {level for level, _ in health_lines(stack).values()} == {"ok"}


def test_a_stage_that_is_stopped_shows_and_the_others_are_well(stack):
    archive = stack.pid("archive")
    assert archive is not None
    os.kill(archive, signal.SIGSTOP)
    try:
        wait_until("silence", lambda: status(ports(stack)["archive"], "/healthz") is None, SECONDS)
        others = {stage: status(port, "/healthz") for stage, port in ports(stack).items()}
        assert others == {
            "meter": 200,
            "ledger": 200,
            "archive": None,
            "guard": 200,
            "web": 200,
        }
        level, said = health_lines(stack)["archive"]
        assert (level, "does not answer" in said) == ("bad", True)
    finally:
        os.kill(archive, signal.SIGCONT)
    for path in ("/healthz", "/readyz", "/metrics"):
        wait_until(path, lambda path=path: status(ports(stack)["archive"], path) == 200, SECONDS)
    assert stack.pid("archive") == archive


def test_a_stage_that_hangs_fails_its_liveness_and_says_where(stack, hanging_meter):
    wait_until("the meter", lambda: status(hanging_meter, "/healthz") == 200, SECONDS)
    begun = time.monotonic()
    wait_until("being stuck", lambda: status(hanging_meter, "/healthz") == 503, SECONDS)
    assert time.monotonic() - begun < SECONDS
    _, body = probe(hanging_meter, "/healthz") or (None, b"{}")
    assert "collecting" in [work["work"] for work in json.loads(body)["stuck"]]
    assert status(hanging_meter, "/readyz") == 503
    assert status(ports(stack)["meter"], "/healthz") == 200
