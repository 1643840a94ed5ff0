"""The producer's package and the server agree on what a usage event is, in both directions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from spendstream import _rules
from spendstream._avro import encode
from spendstream._event import completed, void_of
from spendstream._fields import BUCKETS

from schemas import tokens, usage, wire
from schemas.avro_files import newest_usage_schema
from schemas.errors import InvalidEvent

SCHEMA = newest_usage_schema().parsed
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
TIMES = st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30), timezones=OFFSETS)  # noqa: DTZ001 - bounds are naive
TEXT = st.text(min_size=0, max_size=20)
NAMES = st.text(min_size=1, max_size=20).filter(str.strip)
COSTS = st.decimals(0, 10**9 - 1, places=12) | st.sampled_from(["1E+2", " 0.5 ", "٣", "0E+2"])


def values_of(avro_type: Any) -> st.SearchStrategy[Any]:
    """Values that the server takes for a field of this Avro type."""
    if isinstance(avro_type, list):
        return st.none() | values_of(avro_type[1])
    if isinstance(avro_type, dict):
        if avro_type["type"] == "enum":
            return st.sampled_from(avro_type["symbols"])
        if avro_type["type"] == "map":
            return st.dictionaries(TEXT, TEXT, max_size=3)
        return TIMES
    return {
        "string": NAMES,
        "int": st.integers(1, 2**31 - 1),
        "long": st.integers(0, 10**7),
        "boolean": st.booleans(),
    }[avro_type]


SOUND = {field["name"]: values_of(field["type"]) for field in SCHEMA["fields"]} | {
    "provider_cost": st.none() | COSTS,
    "prefix_tokens": st.none() | st.just(0),  # as the prompt may have no more
}
LEFT_TO_THE_CLIENT = ("event_id", "occurred_at", "kind", "voids", "usage_source", "total_tokens")
SOUND_EVENTS = st.fixed_dictionaries(
    {name: SOUND[name] for name in ("provider", "model", "team")},
    optional={
        name: values
        for name, values in SOUND.items()
        if name not in ("provider", "model", "team", *LEFT_TO_THE_CLIENT)
    }
    | {"occurred_at": TIMES, "event_id": NAMES.filter(lambda text: not text.startswith("void:"))},
)

ODD_TIMES = st.sampled_from(
    [
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2000, 1, 1, tzinfo=timezone(timedelta(minutes=1))),
        datetime(2100, 1, 1, tzinfo=UTC),
        datetime(2100, 1, 1, tzinfo=timezone(timedelta(minutes=1))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
        datetime(2026, 1, 1),  # noqa: DTZ001 - a time without zone is the case
    ]
)
ODD = st.sampled_from(
    [
        *(
            "",
            " ",
            "x" * 1024,
            "x" * 1025,
            "\ud800",
            "a\x00b",
            "void:e1",
            "gold",
            "-1",
            "-0",
            "NaN",
        ),
        *("Infinity", "1E-12", "1E-13", "999999999.9", "1E+9", "1_0", "1e-999999", "void", "usage"),
        *(-1, 0, 1, 10**9, 10**9 + 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 1.0, True),
        *(b"x", (), [], {}, {"a": 1}, {"a": None}, {1: "a"}, {"\ud800": "a"}, {"a": "\ud800"}),
        *({"": ""}, {"a": "x" * 1025}, {"x" * 1025: "a"}, Decimal(1)),
    ]
)


@given(SOUND_EVENTS)
def test_what_the_client_encodes_the_server_reads_back(fields):
    said = completed(fields, {})
    _rules.check(said)
    read = wire.decode(encode(said)).model_dump()
    assert read == {field["name"]: None for field in SCHEMA["fields"]} | said


@given(SOUND_EVENTS)
def test_a_void_of_the_client_is_one_to_the_server(fields):
    original = completed(fields, {})
    void = completed(void_of(original), {})
    _rules.check(void)
    read = wire.decode(encode(void))
    assert (read.kind, read.voids) == ("void", original["event_id"])
    assert read.occurred_at == original["occurred_at"]


@given(
    SOUND_EVENTS,
    st.dictionaries(
        st.sampled_from([*SOUND, "unknown"]), ODD | ODD_TIMES | st.none(), min_size=1, max_size=3
    ),
)
def test_client_and_server_refuse_the_same_events(fields, odd):
    said = completed(fields | odd, {})
    try:
        _rules.check(said)
    except _rules.InvalidUsage as refused:
        event(f"refused: {refused.code}")
        with pytest.raises(InvalidEvent):
            usage.checked(said)
    else:
        event("accepted")
        read = wire.decode(encode(said)).model_dump(exclude_none=True)
        assert read == said


def test_the_limits_and_buckets_are_the_servers():
    for name in ("EARLIEST", "LATEST", "MAX_TEXT", "MAX_LONG", "MAX_ATTEMPT", "VOID_PREFIX"):
        assert getattr(_rules, name) == getattr(usage, name), name
    assert _rules.MAX_TOKENS_PER_EVENT == tokens.MAX_TOKENS_PER_EVENT
    assert _rules.MAX_EVENT_BYTES == wire.MAX_EVENT_BYTES
    assert BUCKETS == tokens.BUCKET_NAMES


def test_client_and_server_take_events_up_to_the_same_size():
    bare = {"event_id": "e", "occurred_at": datetime(2026, 1, 1, tzinfo=UTC)}
    bare |= {"provider": "p", "model": "m", "team": "t", "usage_source": "missing"}
    full = {f"tag {number:03}": "x" * 1000 for number in range(259)}
    room = wire.MAX_EVENT_BYTES - len(encode(bare | {"tags": full | {"last": "x" * 500}})) + 500
    assert 100 < room < 1024
    largest, larger = (
        encode(bare | {"tags": full | {"last": "x" * size}}) for size in (room, room + 1)
    )
    _rules.check_size(largest)
    wire.decode(largest)
    with pytest.raises(_rules.InvalidUsage, match="262,145 bytes"):
        _rules.check_size(larger)
    with pytest.raises(InvalidEvent, match="event_too_large"):
        wire.decode(larger)
