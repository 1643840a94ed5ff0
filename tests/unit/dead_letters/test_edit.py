"""Mending a letter: which bytes are sent in the end."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from schemas.errors import UserError
from schemas.usage import UsageEvent
from schemas.wire import encode, no_registry
from streams.dead_letters.edit import CannotEdit, Edit, parse_edit
from tests.support.events import call

EVENT = call("e1", "search", 100)


def mended(
    value: bytes | None, *assignments: str, unset: tuple[str, ...] = ()
) -> dict[str, object]:
    sent = parse_edit(assignments, unset).apply(value, no_registry)
    assert sent is not None
    document: dict[str, object] = json.loads(sent)
    return document


def as_bytes(**changes: object) -> bytes:
    return json.dumps(EVENT | changes).encode()


@pytest.mark.parametrize("value", [None, b"", b"\x00\xff", b'{"a": 1 ,"b":2}'])
def test_without_an_edit_the_very_bytes_are_sent(value):
    assert Edit().apply(value, no_registry) == value


@pytest.mark.parametrize("value", [None, b"cut off {"])
def test_a_value_that_is_given_replaces_whatever_came(value):
    assert parse_edit(value=b"\x01").apply(value, no_registry) == b"\x01"


def test_fields_are_set_and_removed_and_the_others_stay_as_they_are():
    value = as_bytes(colour="blue", total_tokens=99, tags={"a": "ß"})
    sent = mended(value, "team=support", "total_tokens=100", unset=("colour",))
    assert sent == EVENT | {"team": "support", "total_tokens": 100, "tags": {"a": "ß"}}


@pytest.mark.parametrize(
    ("assignment", "name", "expected"),
    [
        ("input_tokens=5", "input_tokens", 5),
        ("input_tokens=many", "input_tokens", "many"),
        ("served_from_cache=true", "served_from_cache", True),
        ('tags={"a":"b"}', "tags", {"a": "b"}),
        ("user=007", "user", "007"),
        ("provider_cost=0.1", "provider_cost", "0.1"),
        ("team=a=b", "team", "a=b"),
        ("occurred_at=2026-03-10T12:00:00Z", "occurred_at", "2026-03-10T12:00:00Z"),
    ],
)
def test_what_is_set_has_the_type_of_its_field(assignment, name, expected):
    assert mended(as_bytes(), assignment)[name] == expected


def test_fields_of_avro_and_of_a_cloudevent_make_a_bare_json_event():
    envelope = {"specversion": "1.0", "id": "e1", "source": "/", "type": "t", "data": dict(EVENT)}
    del envelope["data"]["event_id"]
    avro = encode(UsageEvent.model_validate(EVENT))
    cloud = mended(json.dumps(envelope).encode(), "team=support")
    bare = mended(avro, "team=support")
    assert cloud == EVENT | {"team": "support"}
    assert bare.pop("kind") == "usage"
    at = datetime.fromisoformat(str(bare["occurred_at"]))
    assert at == datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert bare == cloud | {"occurred_at": bare["occurred_at"]}


@pytest.mark.parametrize("value", [None, b"", b'{"team": ', b"usage: 7", b"\xc3\x01unknown.datum"])
def test_what_cannot_be_read_has_no_fields_to_set(value):
    with pytest.raises(CannotEdit, match="--value"):
        mended(value, "team=search")


def test_a_field_that_is_not_there_cannot_be_removed():
    with pytest.raises(CannotEdit, match="'colour'"):
        mended(as_bytes(), unset=("colour",))


@pytest.mark.parametrize(
    ("assignments", "removed", "value", "says"),
    [
        (["team"], [], None, "field=value"),
        (["colour=blue"], [], None, "no such field"),
        (["team=a", "team=b"], [], None, "twice"),
        (["team=a"], ["team"], None, "unset"),
        (["team=a"], [], b"{}", "--value"),
        ([], ["team"], b"{}", "--value"),
    ],
)
def test_an_edit_that_makes_no_sense_is_one_line(assignments, removed, value, says):
    with pytest.raises(UserError, match=says):
        parse_edit(assignments, removed, value)
