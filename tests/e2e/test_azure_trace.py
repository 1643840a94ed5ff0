"""An hour of real traffic of a conversation service: counted once, to the last digit."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.traffic.roster import load_roster
from streams.traffic.traces import read_trace
from tests.support.running_stack import RunningStack
from tests.support.totals import TOTALS_SQL, Totals, independent_totals

pytestmark = pytest.mark.slow

FORMAT = "azure-trace"
CALLS, INPUT, OUTPUT = 19_366, 22_361_870, 4_088_665


@pytest.fixture(scope="module")
def trace(traces: Path) -> Path:
    return traces / "azure_llm_2023_conv.csv"


@pytest.fixture(scope="module")
def expected(trace: Path) -> Totals:
    return independent_totals(r.value for r in read_trace(trace, FORMAT, load_roster()))


@pytest.fixture(scope="module")
def replayed(trace: Path, stack: RunningStack) -> RunningStack:
    stack.replay(trace, FORMAT)
    return stack


def totals(stack: RunningStack) -> Totals:
    (row,) = stack.sql(TOTALS_SQL)
    return Totals.of_row(row)


def test_the_spend_is_that_of_the_trace_to_the_last_digit(replayed, expected):
    assert (expected.calls, expected.input_tokens, expected.output_tokens) == (CALLS, INPUT, OUTPUT)
    assert totals(replayed) == expected


def test_replaying_the_same_file_again_changes_nothing(replayed, trace, expected):
    known = replayed.query("SELECT sum(duplicates) FROM metering")[0][0]
    replayed.replay(trace, FORMAT)
    assert totals(replayed) == expected
    assert replayed.query("SELECT count(), uniqExact(event_id) FROM usage") == [(CALLS, CALLS)]
    (row,) = replayed.query("SELECT sum(duplicates), sum(conflicts) FROM metering")
    assert row == (known + CALLS, 0)


def test_archive_ledger_and_guard_agree(replayed):
    done = replayed.run("reconcile")
    assert (done.returncode, done.stdout[:13]) == (0, "reconcile: OK"), done.stdout
    assert f"{CALLS:,} calls" in done.stdout


def test_after_a_restart_the_same_file_still_changes_nothing(replayed, trace, expected, kafka):
    replayed.stop()
    replayed.start()
    assert totals(replayed) == expected
    replayed.replay(trace, FORMAT)
    assert totals(replayed) == expected
    # The embedded broker comes back as another one, which remembers nothing.
    sources = 2 if kafka is None else 1
    assert replayed.query("SELECT uniqExact(source) FROM metering") == [(sources,)]
    done = replayed.run("reconcile")
    assert done.returncode == 0, done.stdout


def test_nothing_in_it_raises_an_alert(replayed):
    assert replayed.query("SELECT rule, scope, title FROM alert_history") == []
