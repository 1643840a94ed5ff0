from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas import batch
from schemas.avro_files import AvroSchema
from schemas.batch import INDEX, SMALLEST_SPLIT, Decoded, decode_batch, events_frame
from schemas.usage import UsageEvent, checked
from schemas.wire import decode, encode_confluent
from tests.corpus import (
    CONFLUENT_SCHEMA_ID,
    NEWEST_SCHEMA_ID,
    invalid_examples,
    lookup,
    valid_examples,
)
from tests.corpus.events import MINIMAL, PREFIXED, with_, without
from tests.corpus.make import SINGLE_OBJECT, as_json, confluent, datum
from tests.unit.schemas.compatibility import changed, field_of

REPOSITORY = Path(__file__).parents[3]
both_paths = pytest.mark.parametrize("fast", [True, False], ids=["fast", "one_by_one"])


def expected_frame(events: dict[int, UsageEvent]) -> pl.DataFrame:
    frame = events_frame(list(events.values()))
    return frame.with_columns(pl.Series(INDEX, list(events), dtype=pl.Int64))


def assert_same(left: Decoded, right: Decoded) -> None:
    assert_frame_equal(left.events, right.events)
    assert left.refusals == right.refusals


def avro(**changes: object) -> bytes:
    """A single-object datum that no rule was asked about."""
    return SINGLE_OBJECT + datum(with_(MINIMAL, **changes))


GOOD = avro(event_id="good")
GOOD_VOID = avro(event_id="void:good", kind="void", voids="good")


@both_paths
def test_the_whole_corpus_in_one_batch_is_read_as_one_by_one(fast):
    pairs = zip(valid_examples(), invalid_examples(), strict=False)
    values = [example.value for pair in pairs for example in pair]
    values += [e.value for e in invalid_examples()[len(valid_examples()) :]]
    bad = {e.value: e for e in invalid_examples()}
    decoded = decode_batch(values, lookup, fast=fast)
    good = {i: decode(v, lookup) for i, v in enumerate(values) if v not in bad}
    assert len(good) == len(valid_examples())
    assert_frame_equal(decoded.events, expected_frame(good))
    assert {i: r.code for i, r in decoded.refusals.items()} == {
        i: bad[v].code for i, v in enumerate(values) if v in bad
    }


@pytest.mark.parametrize("example", invalid_examples(), ids=lambda example: example.name)
def test_the_neighbours_of_a_bad_value_live(example):
    decoded = decode_batch([GOOD, example.value, GOOD_VOID], lookup)
    assert decoded.events["event_id"].to_list() == ["good", "void:good"]
    assert decoded.events[INDEX].to_list() == [0, 2]
    assert [(i, r.code) for i, r in decoded.refusals.items()] == [(1, example.code)]


@pytest.mark.parametrize("example", valid_examples(), ids=lambda example: example.name)
def test_a_batch_of_one_is_read_alike_on_both_paths(example):
    fast = decode_batch([example.value], lookup)
    assert_same(fast, decode_batch([example.value], lookup, fast=False))
    assert_frame_equal(fast.events, expected_frame({0: decode(example.value, lookup)}))


@both_paths
def test_an_empty_batch_gives_an_empty_frame_with_all_columns(fast):
    decoded = decode_batch([], fast=fast)
    assert decoded.refusals == {}
    assert_frame_equal(decoded.events, expected_frame({}))
    assert decoded.events.columns == [*UsageEvent.model_fields, INDEX]


@both_paths
def test_a_batch_without_any_good_value_refuses_each(fast):
    examples = invalid_examples()
    decoded = decode_batch([e.value for e in examples], lookup, fast=fast)
    assert_frame_equal(decoded.events, expected_frame({}))
    assert {i: r.code for i, r in decoded.refusals.items()} == {
        i: e.code for i, e in enumerate(examples)
    }


@both_paths
def test_a_batch_in_which_no_event_has_tokens_is_read(fast):
    missing = without(with_(MINIMAL, usage_source="missing"), "input_tokens", "output_tokens")
    reported = without(MINIMAL, "input_tokens", "output_tokens")
    values = [SINGLE_OBJECT + datum(missing), SINGLE_OBJECT + datum(reported)]
    decoded = decode_batch(values, fast=fast)
    assert decoded.events[INDEX].to_list() == [0]
    assert decoded.refusals[1].code == "no_tokens"


@pytest.mark.parametrize("neighbours", [[], [GOOD], [GOOD_VOID], [GOOD, GOOD_VOID]])
@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": "void:x", "kind": "void", "voids": None},
        {"event_id": "void:", "kind": "void", "voids": ""},
        {"event_id": "void:", "kind": "void", "voids": None},
        {"event_id": "void:x", "kind": "usage", "voids": "x"},
        {"voids": ""},
        {"team": "\u001c"},
        {"team": "\u001f \u2003"},
        {"provider_cost": "١"},
        {"provider_cost": "1\n"},
        {"provider_cost": "00"},
    ],
    ids=repr,
)
def test_a_rule_holds_whichever_columns_the_neighbours_use(changes, neighbours):
    values = [*neighbours, avro(**changes)]
    assert_same(decode_batch(values), decode_batch(values, fast=False))


@both_paths
def test_events_keep_their_order_where_all_are_judged_one_by_one(fast):
    cut = avro(event_id="cut")[:-4]
    values = [avro(event_id="first"), as_json(with_(MINIMAL, event_id="second")), cut]
    values.append(avro(event_id="third"))
    decoded = decode_batch(values, fast=fast)
    assert decoded.events[INDEX].to_list() == [0, 1, 3]
    assert decoded.events["event_id"].to_list() == ["first", "second", "third"]


class CountingLookup:
    """A registry that counts: the fast path asks it once for a value, judging asks once more."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, schema_id: int) -> AvroSchema | None:
        self.asked += 1
        return lookup(schema_id)


def confluent_values(count: int) -> list[bytes]:
    return [confluent(CONFLUENT_SCHEMA_ID, avro(event_id=f"e{i}")[10:]) for i in range(count)]


@pytest.mark.parametrize("bad_at", [0, 1, SMALLEST_SPLIT, 299])
def test_one_bad_datum_in_a_long_run_costs_only_itself(bad_at):
    values = confluent_values(300)
    values[bad_at] = values[bad_at][:-5]
    registry = CountingLookup()
    decoded = decode_batch(values, registry)
    assert list(decoded.refusals) == [bad_at]
    assert decoded.events[INDEX].to_list() == [i for i in range(300) if i != bad_at]
    assert decoded.events["event_id"].to_list() == [f"e{i}" for i in range(300) if i != bad_at]
    assert registry.asked <= 300 + SMALLEST_SPLIT


def test_one_broken_rule_is_judged_alone():
    values = confluent_values(300)
    values[7] = confluent(CONFLUENT_SCHEMA_ID, avro(input_tokens=-1)[10:])
    registry = CountingLookup()
    assert list(decode_batch(values, registry).refusals) == [7]
    assert registry.asked == 301


def test_what_our_encoder_writes_takes_the_fast_path():
    # Texts that fill 1,024 bytes are looked at one by one.
    events = [decode(e.value, lookup) for e in valid_examples() if len(e.value) < 1000]
    registry = CountingLookup()
    decoded = decode_batch([encode_confluent(e, NEWEST_SCHEMA_ID) for e in events], registry)
    assert decoded.events.height == registry.asked == len(events)


def test_versions_may_be_mixed_in_a_batch_and_all_of_them_take_the_fast_path():
    values = confluent_values(300)
    for number in range(0, 300, 3):
        fields = with_(PREFIXED, event_id=f"e{number}")
        values[number] = encode_confluent(checked(fields), NEWEST_SCHEMA_ID)
    registry = CountingLookup()
    decoded = decode_batch(values, registry)
    assert registry.asked == 300
    assert decoded.events["event_id"].to_list() == [f"e{number}" for number in range(300)]
    assert decoded.events["prefix_tokens"].drop_nulls().to_list() == [2**8 - 1] * 100
    assert_same(decoded, decode_batch(values, lookup, fast=False))


def test_a_missing_wheel_changes_nothing_but_the_speed(monkeypatch):
    values = [e.value for e in (*valid_examples(), *invalid_examples())]
    with_wheel = decode_batch(values, lookup)
    monkeypatch.setattr(batch, "pyruhvro", None)
    assert_same(with_wheel, decode_batch(values, lookup))


@both_paths
def test_a_registry_that_cannot_be_asked_stops_the_batch(fast):
    def unreachable(schema_id: int) -> None:
        raise ConnectionError("registry is down")

    value = next(e.value for e in valid_examples() if e.framing == "confluent")
    with pytest.raises(ConnectionError):
        decode_batch([GOOD, value], unreachable, fast=fast)


def test_a_registry_copy_without_logical_types_is_read_alike_on_both_paths():
    plain = changed(lambda d: field_of(d, "occurred_at").update(type="long"))
    values = [encode_confluent(decode(GOOD), 9)]
    fast = decode_batch(values, {9: plain}.get)
    assert fast.events["event_id"].to_list() == ["good"]
    assert_same(fast, decode_batch(values, {9: plain}.get, fast=False))


CLAIMS = """
import resource
limit = 3 * 2**30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from schemas.batch import decode_batch
from tests.corpus import invalid_examples, lookup
claims = [e.value for e in invalid_examples() if "of 2**" in e.name or "of -2**" in e.name]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for value in claims:
    decoded = decode_batch([value], lookup)
    assert decoded.refusals[0].code == "undecodable_avro", decoded
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(claims), after - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits its own address space")
def test_a_datum_that_claims_to_be_huge_takes_no_memory():
    done = subprocess.run(
        [sys.executable, "-c", CLAIMS],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    claims, kib = map(int, done.stdout.split())
    assert claims == 10
    assert kib < 64 * 1024
