from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from schemas import usage, wire
from schemas.batch import decode_batch
from schemas.errors import InvalidEvent
from schemas.wire import (
    CONFLUENT_HEADER,
    SINGLE_OBJECT_HEADER,
    decode,
    encode,
    encode_confluent,
    encode_json,
    framing_of,
)
from tests.corpus import (
    NEWEST_SCHEMA_ID,
    InvalidExample,
    ValidExample,
    invalid_examples,
    lookup,
    make,
    valid_examples,
)

by_name = pytest.mark.parametrize("example", valid_examples(), ids=lambda example: example.name)


def test_the_corpus_is_what_its_script_makes():
    for name, text in make.lines().items():
        # Not `==`: a difference of two megabytes takes pytest minutes to print.
        same = Path(make.__file__).with_name(name).read_text("utf-8") == text
        assert same, f"{name} differs; run python -m tests.corpus.make"


def test_the_names_in_the_corpus_are_unique():
    for examples in (valid_examples(), invalid_examples()):
        assert len({example.name for example in examples}) == len(examples)


@by_name
def test_a_valid_value_is_read_as_expected(example: ValidExample):
    event = decode(example.value, lookup)
    assert event.model_dump(mode="json", exclude_none=True) == example.expect


@pytest.mark.parametrize("example", invalid_examples(), ids=lambda example: example.name)
def test_an_invalid_value_is_refused_with_its_code(example: InvalidExample):
    with pytest.raises(InvalidEvent) as caught:
        decode(example.value, lookup)
    refusal = caught.value.refusal
    assert refusal.code == example.code
    assert example.detail_has in refusal.detail
    assert str(refusal) == str(caught.value) == f"{refusal.code}: {refusal.detail}"
    refusal.detail.encode()  # it travels in a header of the dead letter


def test_every_refusal_code_of_the_contract_is_in_the_corpus():
    raised = {
        node.args[0].value
        for module in (usage, wire)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"InvalidEvent", "PydanticCustomError"}
        and isinstance(node.args[0], ast.Constant)
    }
    assert len(raised) >= 19
    # A value of a quarter of a megabyte is no example for a file.
    in_corpus = {example.code for example in invalid_examples()}
    assert raised <= in_corpus | {"event_too_large"}


def test_one_reason_is_one_text():
    values = [example.value for example in invalid_examples()]
    refusals = decode_batch(values, lookup).refusals
    assert decode_batch(values, lookup).refusals == refusals
    assert [r for r in refusals.values() if " object at 0x" in r.detail] == []


def test_no_reason_shows_an_unfilled_placeholder():
    for example in invalid_examples():
        with pytest.raises(InvalidEvent) as caught:
            decode(example.value, lookup)
        if example.code not in {"undecodable_json", "invalid_field"}:
            assert "{" not in caught.value.refusal.detail.replace("JSON ({)", "")


@by_name
def test_an_event_survives_each_framing(example: ValidExample):
    event = decode(example.value, lookup)
    assert decode(encode(event)) == event
    assert decode(encode_confluent(event, NEWEST_SCHEMA_ID), lookup) == event
    assert decode(encode_json(event)) == event


def test_the_framings_start_as_their_specifications_say():
    event = decode(valid_examples()[0].value)
    assert encode(event)[:2] == b"\xc3\x01"
    assert encode_confluent(event, 0x01020304)[:5] == b"\x00\x01\x02\x03\x04"
    assert encode_json(event)[:1] == b"{"


def test_the_framing_says_where_the_datum_starts():
    found = {example.framing: framing_of(example.value, lookup) for example in valid_examples()}
    assert (found["single_object"].kind, found["single_object"].body) == (
        "avro",
        SINGLE_OBJECT_HEADER,
    )
    assert (found["confluent"].kind, found["confluent"].body) == ("avro", CONFLUENT_HEADER)
    assert (found["json"].kind, found["json"].schema) == ("json", None)


def test_an_event_waits_where_the_registry_cannot_be_asked():
    def unreachable(schema_id: int) -> None:
        raise ConnectionError("registry is down")

    value = next(e.value for e in valid_examples() if e.framing == "confluent")
    with pytest.raises(ConnectionError):
        decode(value, unreachable)


def test_without_a_registry_no_confluent_id_is_known():
    value = next(e.value for e in valid_examples() if e.framing == "confluent")
    with pytest.raises(InvalidEvent, match="unknown_schema"):
        decode(value)
