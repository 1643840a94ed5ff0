"""Bad events among good ones: the good are metered, the bad kept with their reason and place,
mended, and metered too."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from schemas.topics import (
    DEAD_LETTERS,
    DETAIL_HEADER,
    OFFSET_HEADER,
    PARTITION_HEADER,
    REASON_HEADER,
    SOURCE_HEADER,
    USAGE,
)
from streams.cli.main import main
from streams.kafka import cluster_id, consumer, partitions_of
from streams.settings import Settings
from tests.support.events import call
from tests.support.running_stack import RunningStack, clean_environment
from tests.support.totals import TOTALS_SQL, Totals, independent_totals
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

LINES, EVERY = 1000, 20
UNPRICED_EVERY = 19


def event(number: int, **changes: Any) -> dict[str, Any]:
    fields = call(f"event-{number}", f"team-{number % 7}", 100 + number)
    if number % UNPRICED_EVERY:
        fields |= {"provider": "openai", "model": "gpt-4o-mini"}
    fields |= changes
    return {name: value for name, value in fields.items() if value is not None}


def as_line(number: int, **changes: Any) -> bytes:
    return json.dumps(event(number, **changes)).encode()


BAD: dict[str, Callable[[int], bytes]] = {
    "undecodable_json": lambda n: as_line(n)[:-9],
    "missing_field": lambda n: as_line(n, team=None),
    "unknown_field": lambda n: as_line(n, colour="blue"),
    "invalid_field": lambda n: as_line(n, input_tokens="many"),
    "tokens_do_not_add_up": lambda n: as_line(n, total_tokens=99),
    "negative_tokens": lambda n: as_line(n, output_tokens=-n - 1),
    "time_out_of_range": lambda n: as_line(n, occurred_at="1970-01-01T00:00:00Z"),
    "blank_field": lambda n: as_line(n, model=" "),
    "unknown_framing": lambda n: f"usage: {n} tokens".encode(),
    "unknown_schema": lambda n: b"\xc3\x01" + f"schema{n:02d}".encode() + b"datum",
}

FIXES: dict[str, tuple[str, ...]] = {
    "missing_field": ("--set", "team=late"),
    "unknown_field": ("--unset", "colour"),
    "invalid_field": ("--set", "input_tokens=7"),
    "tokens_do_not_add_up": ("--unset", "total_tokens"),
    "negative_tokens": ("--unset", "output_tokens"),
    "time_out_of_range": ("--set", "occurred_at=2026-03-10T12:00:00Z"),
    "blank_field": ("--set", "model=gpt-4o-mini"),
}
"""How letters are mended field by field; what they become is in `mended`."""
GIVEN_ANEW = 10
"""The line whose letter is mended by other bytes. Its like, and what is no event, are dropped."""
DROPPED = ("undecodable_json", "unknown_framing", "unknown_schema")

CUT_OFF = """
import os, signal, sys
from sinks.dead_letters import DeadLetters
from streams.cli import main

act = DeadLetters.act

def cut_off(self, actions):
    if any(action.action == "replayed" for action in actions):
        os.kill(os.getpid(), signal.SIGKILL)
    act(self, actions)

DeadLetters.act = cut_off
main(sys.argv[1:])
"""
"""A command that is killed when the broker has the letters, and before that is on record."""


def kind_of(number: int) -> str | None:
    """Which bad event this is; None for a good one."""
    return list(BAD)[number // EVERY % len(BAD)] if number % EVERY == EVERY // 2 else None


def mended(number: int) -> dict[str, Any] | None:
    """The event as it is metered in the end; None where it is dropped."""
    changes: dict[str, dict[str, Any]] = {
        "missing_field": {"team": "late"},
        "invalid_field": {"input_tokens": 7},
        "blank_field": {"model": "gpt-4o-mini"},
    }
    kind = kind_of(number)
    if kind in DROPPED and number != GIVEN_ANEW:
        return None
    return event(number, **changes.get(kind or "", {}))


def lines() -> tuple[list[bytes], dict[bytes, str]]:
    """All lines of the file, and of the bad ones the reason."""
    every, bad = [], {}
    for number in range(LINES):
        reason = kind_of(number)
        line = as_line(number) if reason is None else BAD[reason](number)
        if reason is not None:
            bad[line] = reason
        every.append(line)
    return every, bad


@pytest.fixture(scope="module")
def replayed(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> RunningStack:
    file = tmp_path_factory.mktemp("bad") / "events.jsonl"
    file.write_bytes(b"\n".join(lines()[0]) + b"\n")
    stack.replay(file, "jsonl")
    return stack


async def records(settings: Settings, topic: str, expected: int) -> list[ConsumerRecord]:
    reader = consumer(settings)
    await reader.start()
    try:
        reader.assign(await partitions_of(reader, topic))
        found: list[ConsumerRecord] = []
        while len(found) < expected:
            got = await reader.getmany(timeout_ms=2000)
            assert got, f"{topic} holds {len(found)} records; {expected} were expected"
            found += [record for part in got.values() for record in part]
        return found
    finally:
        await reader.stop()


def test_the_good_events_are_metered_and_the_bad_ones_are_counted(replayed):
    assert replayed.sql("SELECT sum(calls) AS calls FROM spend") == [{"calls": 950}]
    (row,) = replayed.sql(
        "SELECT sum(events) AS events, sum(refused) AS refused, sum(lost) AS lost FROM metering"
    )
    assert row == {"events": 950, "refused": 50, "lost": 0}
    assert replayed.query("SELECT count() FROM usage") == [(950,)]
    done = replayed.run("reconcile")
    assert done.returncode == 0, done.stdout


def test_a_model_without_a_price_is_metered_and_shows_as_unpriced(replayed):
    every, bad = lines()
    good = [json.loads(line) for line in every if line not in bad]
    unpriced = [fields for fields in good if fields["model"] == "unit"]
    assert len(unpriced) > 40
    assert replayed.sql("SELECT calls, priced_calls, unpriced_calls FROM coverage") == [
        {
            "calls": 950,
            "priced_calls": 950 - len(unpriced),
            "unpriced_calls": len(unpriced),
        }
    ]
    assert replayed.query(
        "SELECT sum(input_tokens), sum(cost) FROM spend WHERE model = 'unit'"
    ) == [(sum(fields["input_tokens"] for fields in unpriced), None)]


async def test_each_bad_event_is_a_dead_letter_with_its_reason_bytes_and_place(replayed):
    settings = replayed.settings
    _, bad = lines()
    usage = {(r.partition, r.offset): r for r in await records(settings, USAGE, LINES)}
    letters = await records(settings, DEAD_LETTERS, len(bad))
    source = f"{await cluster_id(settings)}/{USAGE}".encode()

    assert Counter(bad.values()) == dict.fromkeys(BAD, 5)
    assert {letter.value: dict(letter.headers)[REASON_HEADER].decode() for letter in letters} == bad
    for letter in letters:
        headers = dict(letter.headers)
        place = int(headers[PARTITION_HEADER]), int(headers[OFFSET_HEADER])
        original = usage[place]
        assert (letter.value, letter.key) == (original.value, original.key)
        assert headers[SOURCE_HEADER] == source
        assert headers[DETAIL_HEADER]


def test_a_trace_with_a_wrong_row_is_one_line_with_its_place(stack, tmp_path):
    file = tmp_path / "trace.csv"
    rows = ["TIMESTAMP,ContextTokens,GeneratedTokens", "2026-03-02 09:00:00,ten,5"]
    file.write_text("\n".join(rows))
    done = stack.run("replay", str(file), "--format", "azure-trace")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith(f"spendstream: {file}:2: ContextTokens is 'ten'; a whole number")


Dlq = Callable[..., tuple[int, bytes]]


@pytest.fixture
def dlq(replayed: RunningStack, capsysbinary: pytest.CaptureFixture[bytes]) -> Dlq:
    """`spendstream dlq` in this process: its exit code, and what it says on stdout."""

    def command(*arguments: str) -> tuple[int, bytes]:
        with pytest.raises(SystemExit) as end:
            main(["dlq", *arguments, "--folder", str(replayed.folder)])
        return int(end.value.code or 0), capsysbinary.readouterr().out

    return command


def documents(said: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_a_replay_that_is_killed_half_way_is_finished_by_the_next_one(replayed, dlq):
    fix = ("--reason", "missing_field", *FIXES["missing_field"], "--yes")
    killed = subprocess.run(
        [sys.executable, "-c", CUT_OFF, "dlq", "replay", *fix, "--folder", str(replayed.folder)],
        env=clean_environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    _, said = dlq("list", "--reason", "missing_field", "--json")
    assert {(e["status"], e["action"]) for e in documents(said)} == {("open", "replaying")}

    code, said = dlq("replay", *fix, "--json")
    assert (code, Counter(o["result"] for o in documents(said))) == (0, {"sent before": 5})
    assert dlq("list", "--reason", "missing_field") == (0, b"none\n")


def test_the_bad_events_are_listed_mended_and_replayed_and_the_totals_are_right(replayed, dlq):
    every, bad = lines()
    _, said = dlq("list", "--status", "all", "--json")
    assert {group["reason"]: group["letters"] for group in documents(said)} == dict.fromkeys(BAD, 5)
    _, said = dlq("list", "--ids", "--status", "all", "--json")
    ids = [entry["letter"] for entry in documents(said)]
    _, said = dlq("show", *ids, "--json")
    letters = {base64.b64decode(letter["value"]): letter for letter in documents(said)}
    assert {value: letter["reason"] for value, letter in letters.items()} == bad
    assert not any(letter["accepted_now"] for letter in letters.values())

    code, said = dlq("replay", "--reason", "unknown_field", "--dry-run")
    assert (code, b"5 not sent" in said) == (1, True)
    for reason in FIXES.keys() - {"missing_field", "unknown_field"}:
        code, said = dlq("replay", "--reason", reason, *FIXES[reason], "--yes")
        assert (code, said.splitlines()[-1]) == (0, b"5 sent"), said
    # Two at the same time: what both send, the meter counts once.
    fix = ("dlq", "replay", "--reason", "unknown_field", *FIXES["unknown_field"], "--yes")
    for process in [replayed.begin(*fix) for _ in range(2)]:
        process.communicate(timeout=60)
    file = replayed.folder / "mended.json"
    file.write_bytes(as_line(GIVEN_ANEW))
    letter = letters[every[GIVEN_ANEW]]["letter"]
    assert dlq("replay", letter, "--value", str(file), "--note", "cut off")[0] == 0
    raw = next(value for value, reason in bad.items() if reason == "unknown_schema")
    assert dlq("show", letters[raw]["letter"], "--raw") == (0, raw)
    for reason in DROPPED:
        assert dlq("drop", "--reason", reason, "--note", "no event", "--yes")[0] == 0

    assert dlq("list") == (0, b"none\n")
    again, said = dlq("replay", ids[0], "--by", "somebody")
    assert (again, said.count(b"not sent")) == (1, 2)
    _, said = dlq("list", "--ids", "--status", "all", "--json")
    assert Counter(e["status"] for e in documents(said)) == {"replayed": 36, "dropped": 14}

    events = [fields for number in range(LINES) if (fields := mended(number))]
    priced = [fields for fields in events if fields["provider"] == "openai"]
    wanted = Totals(
        calls=986,
        input_tokens=sum(fields["input_tokens"] for fields in events),
        cost=independent_totals(json.dumps(fields).encode() for fields in priced).cost,
    )
    wait_until("986 calls", lambda: replayed.query("SELECT sum(calls) FROM spend") == [(986,)])
    wait_until("986 events", lambda: replayed.query("SELECT count() FROM usage") == [(986,)])
    assert Totals.of_row(replayed.sql(TOTALS_SQL)[0]) == wanted
    assert replayed.query("SELECT sum(calls) FROM spend WHERE team = 'late'") == [(5,)]
    done = replayed.run("reconcile")
    assert done.returncode == 0, done.stdout
