"""Real chat traffic with repeated context: what a prompt cache would serve is priced as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.traffic.roster import load_roster
from streams.traffic.traces import read_trace
from tests.support.running_stack import RunningStack
from tests.support.totals import TOTALS_SQL, Totals, independent_totals

pytestmark = pytest.mark.slow

FORMAT = "mooncake"
CALLS, INPUT, CACHED, OUTPUT = 12_031, 90_695_530, 54_098_293, 4_122_048


@pytest.fixture(scope="module")
def trace(traces: Path) -> Path:
    return traces / "mooncake_conversation.jsonl"


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
    assert (
        expected.calls,
        expected.input_tokens,
        expected.cache_read_tokens,
        expected.output_tokens,
    ) == (CALLS, INPUT, CACHED, OUTPUT)
    assert totals(replayed) == expected


def test_replaying_the_same_file_again_changes_nothing(replayed, trace, expected):
    replayed.replay(trace, FORMAT)
    assert totals(replayed) == expected


def test_archive_ledger_and_guard_agree(replayed):
    done = replayed.run("reconcile")
    assert (done.returncode, done.stdout[:13]) == (0, "reconcile: OK"), done.stdout


def test_after_a_restart_the_same_file_still_changes_nothing(replayed, trace, expected):
    replayed.stop()
    replayed.start()
    replayed.replay(trace, FORMAT)
    assert totals(replayed) == expected
    done = replayed.run("reconcile")
    assert done.returncode == 0, done.stdout


def test_nothing_in_it_raises_an_alert(replayed):
    assert replayed.query("SELECT rule, scope, title FROM alert_history") == []
