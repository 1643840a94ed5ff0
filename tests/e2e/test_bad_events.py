"""Bad events among good ones: the good are metered, the bad kept with their reason and place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
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
from streams.kafka import cluster_id, consumer
from streams.settings import Settings
from tests.support.events import call
from tests.support.running_stack import RunningStack

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


def lines() -> tuple[list[bytes], dict[bytes, str]]:
    """All lines of the file, and of the bad ones the reason."""
    kinds = list(BAD.items())
    every, bad = [], {}
    for number in range(LINES):
        line = as_line(number)
        if number % EVERY == EVERY // 2:
            reason, make = kinds[number // EVERY % len(kinds)]
            line = make(number)
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
        await reader.topics()
        tps = [TopicPartition(topic, p) for p in sorted(reader.partitions_for_topic(topic))]
        reader.assign(tps)
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
