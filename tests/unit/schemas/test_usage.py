from __future__ import annotations

import json
from datetime import UTC, datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import ValidationError

from schemas.avro_files import newest_usage_schema
from schemas.errors import InvalidEvent
from schemas.tokens import (
    BUCKET_NAMES,
    BUCKETS,
    INPUT_BUCKETS,
    MAX_TOKENS_PER_EVENT,
    OUTPUT_BUCKETS,
)
from schemas.usage import MAX_TEXT, UsageEvent, checked
from tests.corpus import valid_examples

AVRO_FIELDS: list[Any] = json.loads(newest_usage_schema().text)["fields"]
MINIMAL = {
    "event_id": "e",
    "occurred_at": "2026-11-01T12:00:00Z",
    "provider": "openai",
    "model": "gpt-5",
    "team": "search",
    "usage_source": "reported",
    "input_tokens": 1,
}


def avro_kind(avro_type: Any) -> tuple[str, bool, tuple[str, ...]]:
    """Avro type by its logical name, whether it may be null, and its enum symbols."""
    optional = isinstance(avro_type, list)
    if optional:
        assert avro_type[0] == "null", "the default null must be the first branch"
        (_, avro_type) = avro_type
    if isinstance(avro_type, str):
        return avro_type, optional, ()
    name = avro_type.get("logicalType", avro_type["type"])
    return name, optional, tuple(avro_type.get("symbols", ()))


def python_kind(annotation: Any) -> tuple[str, bool, tuple[str, ...]]:
    """The same three of a pydantic field, for the few types that the event uses."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        (inner,) = (branch for branch in get_args(annotation) if branch is not NoneType)
        name, _, symbols = python_kind(inner)
        return name, True, symbols
    if get_origin(annotation) is Literal:
        return "enum", False, get_args(annotation)
    names = {str: "string", bool: "boolean", int: "integer", datetime: "timestamp-micros"}
    origin = get_origin(annotation) or annotation
    return "map" if origin is dict else names.get(origin, "timestamp-micros"), False, ()


def test_pydantic_and_avro_have_the_same_fields_in_the_same_order():
    assert list(UsageEvent.model_fields) == [field["name"] for field in AVRO_FIELDS]


@pytest.mark.parametrize("avro", AVRO_FIELDS, ids=lambda field: field["name"])
def test_pydantic_and_avro_agree_on_the_field(avro):
    field = UsageEvent.model_fields[avro["name"]]
    kind, optional, symbols = avro_kind(avro["type"])
    kind = {"int": "integer", "long": "integer"}.get(kind, kind)
    assert python_kind(field.rebuild_annotation()) == (kind, optional, symbols)
    assert field.is_required() == ("default" not in avro)
    if not field.is_required():
        assert field.default == avro["default"]


def test_every_bucket_is_a_field_and_either_of_the_prompt_or_of_the_answer():
    assert {name for name in UsageEvent.model_fields if name.endswith("_tokens")} == {
        *BUCKET_NAMES,
        "total_tokens",
        "context_tokens",
        "prefix_tokens",
    }
    assert (*INPUT_BUCKETS, *OUTPUT_BUCKETS) == BUCKET_NAMES
    assert len(set(BUCKETS)) == len(BUCKETS)


def test_the_sides_of_an_event_add_up_to_its_total():
    event = checked(next(e for e in valid_examples() if e.name == "maximal, json").expect)
    assert event.input_side_tokens == 2**8 - 1
    assert event.input_side_tokens + event.output_side_tokens == event.total_tokens


def test_an_event_cannot_be_changed():
    with pytest.raises(ValidationError):
        checked(MINIMAL).team = "other"


def test_times_are_kept_in_utc():
    event = checked({**MINIMAL, "occurred_at": "2026-11-01T17:30:00+05:30"})
    assert event.occurred_at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert event.occurred_at.tzinfo is UTC


def test_the_longest_text_is_counted_in_characters():
    assert checked({**MINIMAL, "user": "🔍" * MAX_TEXT}).user == "🔍" * MAX_TEXT
    with pytest.raises(InvalidEvent, match="invalid_field: user: "):
        checked({**MINIMAL, "user": "🔍" * MAX_TEXT + "x"})


def test_the_token_bound_is_inclusive():
    at_bound = {**MINIMAL, "input_tokens": MAX_TOKENS_PER_EVENT - 1, "reasoning_tokens": 1}
    assert checked(at_bound).input_tokens == MAX_TOKENS_PER_EVENT - 1
    with pytest.raises(InvalidEvent, match="too_many_tokens"):
        checked({**at_bound, "cache_read_tokens": 1})


def test_the_reason_quotes_little_of_a_long_input():
    with pytest.raises(InvalidEvent) as caught:
        checked({**MINIMAL, "project": "secret " * 10_000})
    assert len(caught.value.refusal.detail) < 200


@pytest.mark.parametrize(
    "cost", ["1e-05", "1.5E3", " 1_0.50 ", "+0.1", "٣", "0E+5", "00.5", ".5", "5."]
)
def test_a_cost_is_kept_as_digits_with_at_most_one_point(cost):
    kept = checked({**MINIMAL, "provider_cost": cost}).provider_cost
    assert kept is not None
    assert set(kept) <= set("0123456789.")
    assert float(kept) == float(cost)
    assert checked({**MINIMAL, "provider_cost": kept}).provider_cost == kept


@pytest.mark.parametrize("fields", [None, 5, "x", [], [("event_id", "e")]])
def test_what_is_no_mapping_is_refused(fields):
    with pytest.raises(InvalidEvent, match="invalid_field"):
        checked(fields)


def test_the_first_broken_field_in_schema_order_is_named():
    with pytest.raises(InvalidEvent, match="blank_field: provider: "):
        checked({**MINIMAL, "team": "", "model": "", "provider": ""})


def test_nothing_is_zero_unless_it_was_said():
    event = checked(MINIMAL)
    unsaid = set(UsageEvent.model_fields) - set(MINIMAL) - {"kind"}
    assert {getattr(event, name) for name in unsaid} == {None}
