"""What emitters do when processes are killed and forked, with a real broker."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from io import BytesIO

import pytest
import spendstream
from fastavro import parse_schema, schemaless_reader
from spendstream._avro import SCHEMA

pytestmark = pytest.mark.slow

TOPIC = "llm.usage"


def event_of(record) -> dict:
    return schemaless_reader(BytesIO(record.value[10:]), parse_schema(SCHEMA), None)


EMITS_UNTIL_KILLED = """
import itertools, sys, spendstream

meter = spendstream.Emitter({url!r}, spool={spool!r})
for number in itertools.count():
    event_id = meter.emit(
        provider="openai", model="m", team=f"team {{number % 3}}", output_tokens=number
    )
    sys.stdout.write(f"{{event_id}} {{number}}\\n")
    sys.stdout.flush()
"""


def emitted_until_killed(script: str) -> list[list[str]]:
    """Event id and number of what a process emitted, which was killed with SIGKILL."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        lines = [process.stdout.readline() for _ in range(5000)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    # The last line may be torn, or be missing: the event was emitted and its id never said.
    return [line.decode().split() for line in lines if line.endswith(b"\n")]


async def test_what_a_killed_process_emitted_the_next_one_delivers_exactly(absent_broker, tmp_path):
    script = EMITS_UNTIL_KILLED.format(url=absent_broker.url, spool=str(tmp_path))
    emitted = await asyncio.to_thread(emitted_until_killed, script)
    with absent_broker.running():
        await absent_broker.make_topic(TOPIC)
        meter = spendstream.AsyncEmitter(absent_broker.url, spool=tmp_path)
        assert await meter.flush(30)
        stats = await meter.aclose()
        records = await absent_broker.records(TOPIC, stats.delivered)
    found = [(event["event_id"], event["output_tokens"]) for event in map(event_of, records)]
    assert (stats.emitted, stats.pending) == (0, 0)
    assert stats.delivered == stats.recovered in (len(emitted), len(emitted) + 1)
    assert {event_id for event_id, _ in emitted} <= {event_id for event_id, _ in found}
    assert len({event_id for event_id, _ in found}) == stats.delivered
    for team in range(3):
        numbers = [number for _, number in found if number % 3 == team]
        assert numbers == sorted(numbers)
    assert list(tmp_path.iterdir()) == []


FORKS = """
import json, multiprocessing, os, socket, sys, threading, warnings
import spendstream

warnings.simplefilter("error")
CALL = dict(provider="openai", model="m", team="t", input_tokens=1)
meter = spendstream.Emitter({url!r}, topic={topic!r}, spool={spool!r} or None)


def in_child(number, pipe):
    before = meter.stats
    for _ in range(10):
        meter.emit(**CALL, workflow=f"child {{number}}")
    threads = sorted(thread.name for thread in threading.enumerate())
    # It ends without a close: a child of multiprocessing ends without atexit.
    pipe.send([before.emitted, before.pending, meter.stats.emitted, threads.count("spendstream")])


fork = multiprocessing.get_context("fork")
for _ in range(10):
    meter.emit(**CALL, workflow="parent")
assert meter.flush(10)
said = []
for number in range(2):
    for _ in range(10):
        meter.emit(**CALL, workflow="parent")  # pending while it forks
    ours, theirs = fork.Pipe()
    child = fork.Process(target=in_child, args=(number, theirs))
    child.start()
    said.append(ours.recv())
    child.join()
    said.append(child.exitcode)
meter.emit(**CALL, workflow="parent")
stats = meter.close()
print(json.dumps([said, stats.emitted, stats.delivered, stats.recovered]))
"""


@pytest.mark.parametrize("spool", [False, True])
async def test_after_a_fork_parent_and_child_emit_each_their_own(broker, topic, tmp_path, spool):
    script = FORKS.format(url=broker.url, topic=topic, spool=str(tmp_path) if spool else "")
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, timeout=60
    )
    assert ran.stderr.decode() == ""
    said, emitted, delivered, recovered = json.loads(ran.stdout)
    assert said == [[0, 0, 10, 1], 0, [0, 0, 10, 1], 0]
    assert (emitted, delivered, recovered) == (31, 31, 0)
    events = [event_of(record) for record in await broker.records(topic, 51)]
    assert len({event["event_id"] for event in events}) == len(events) == 51
    workflows = [event["workflow"] for event in events]
    assert {name: workflows.count(name) for name in set(workflows)} == {
        "parent": 31,
        "child 0": 10,
        "child 1": 10,
    }
    assert list(tmp_path.iterdir()) == []
