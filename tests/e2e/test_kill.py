"""Any stage may be killed in the middle of the traffic: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import random
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.topics import USAGE
from streams.cli.reconcile import reconciliation
from streams.kafka import consumer, partitions_of, stop_consumer
from streams.traffic.roster import load_roster
from streams.traffic.traces import read_trace
from tests.support.running_stack import RunningStack
from tests.support.totals import TOTALS_SQL, Totals, independent_totals
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

FORMAT = "azure-trace"
ROWS = 4_000
TRACE_SECONDS = 200
SPEED = 40
"""The trace lasts five seconds: longer than its beginning takes to be seen in the topic."""
PUBLISH_SECONDS = 30
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def write_trace(file: Path, seed: int) -> None:
    dice = random.Random(seed)
    step = timedelta(seconds=TRACE_SECONDS) / ROWS
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for row in range(ROWS):
        at = START + timedelta(days=seed) + row * step
        lines.append(f"{at:%Y-%m-%d %H:%M:%S.%f}0,{dice.randint(1, 9000)},{dice.randint(0, 900)}")
    file.write_text("\n".join(lines) + "\n")


def in_ledger(stack: RunningStack) -> int:
    return int(stack.query("SELECT sum(calls) FROM spend")[0][0])


def in_archive(stack: RunningStack) -> int:
    return int(stack.query("SELECT uniqExact(event_id) FROM usage_events")[0][0])


async def until_published(stack: RunningStack, events: int) -> None:
    """Until the usage topic holds so many."""
    reader = consumer(stack.settings)
    await reader.start()
    try:
        reader.assign(await partitions_of(reader, USAGE))
        await reader.seek_to_beginning()
        seen = 0
        async with asyncio.timeout(PUBLISH_SECONDS):
            while seen < events:
                seen += sum(map(len, (await reader.getmany(timeout_ms=50)).values()))
    finally:
        await stop_consumer(reader)


@pytest.fixture(scope="module")
def sent() -> list[Totals]:
    """Totals of every trace that this module's stack has been sent."""
    return []


@pytest.mark.parametrize("turn", range(1, 4))
@pytest.mark.parametrize("stages", [("meter", "archive"), ("ledger", "guard")], ids="+".join)
def test_stages_that_are_killed_in_the_middle_change_no_figure(stack, stages, turn, sent, tmp_path):
    # The two of a pair read the same topic and do not wait for each other.
    file = tmp_path / "trace.csv"
    write_trace(file, seed=len(sent) + 1)
    before = ROWS * len(sent)
    sent.append(independent_totals(r.value for r in read_trace(file, FORMAT, load_roster())))

    with stack.begin("replay", str(file), "--format", FORMAT, "--speed", str(SPEED)) as replay:
        try:
            # However slow the stages are, the replay is not over before the kill.
            asyncio.run(until_published(stack, before + ROWS // 10))
            replay.send_signal(signal.SIGSTOP)
            wait_until("the first tenth", lambda: in_ledger(stack) >= before + ROWS / 10)
            wait_until("the first tenth", lambda: in_archive(stack) >= before + ROWS / 10)
            assert in_ledger(stack) < before + ROWS
            assert in_archive(stack) < before + ROWS
            replay.send_signal(signal.SIGCONT)
            killed = {stage: stack.kill(stage) for stage in stages}
            for stage in stages:
                wait_until("the restart", lambda s=stage: stack.pid(s) not in (None, killed[s]))
            output, _ = replay.communicate()
        finally:
            replay.kill()

    assert replay.returncode == 0, output
    (row,) = stack.query(TOTALS_SQL)
    assert Totals(*map(int, row[:4]), row[4]) == sum(sent, Totals())
    verdict = reconciliation(stack.settings)
    assert verdict.ok, verdict.differences
    assert verdict.compared.calls == ROWS * len(sent)
