"""Write the corpus: examples of the usage event as bytes, and what every consumer reads in them.

Run as `python -m tests.corpus.make`. Avro is written under the oldest version that has the fields,
whatever the newest is, so that these bytes stay what producers in the field send. What is expected
is written down here by hand, never taken from the decoder.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from fastavro import schemaless_writer

from schemas.avro_files import AvroSchema, usage_schemas
from tests.corpus import CONFLUENT_SCHEMA_ID, NEWEST_SCHEMA_ID, UNKNOWN_SCHEMA_ID
from tests.corpus.events import MINIMAL, Fields, broken_events, valid_events, with_, without

V1 = usage_schemas()[0]
SINGLE_OBJECT = b"\xc3\x01" + V1.fingerprint


def datum(fields: Fields) -> bytes:
    time = fields["occurred_at"]
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    stream = BytesIO()
    schemaless_writer(stream, schema_of(fields).parsed, {**fields, "occurred_at": time})
    return stream.getvalue()


def schema_of(fields: Fields) -> AvroSchema:
    """The oldest version that has these fields."""
    for schema in usage_schemas():
        if fields.keys() <= {field["name"] for field in schema.parsed["fields"]}:
            return schema
    raise ValueError(f"no version has {', '.join(fields)}")


def single_object(fields: Fields) -> bytes:
    return b"\xc3\x01" + schema_of(fields).fingerprint + datum(fields)


def registered(fields: Fields) -> bytes:
    """In Confluent framing."""
    first = schema_of(fields) is V1
    return confluent(CONFLUENT_SCHEMA_ID if first else NEWEST_SCHEMA_ID, datum(fields))


def confluent(schema_id: int, body: bytes) -> bytes:
    return b"\x00" + struct.pack(">I", schema_id) + body


def as_json(fields: Any) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def cloudevent(data: Any, **attributes: Any) -> bytes:
    envelope = {"specversion": "1.0", "type": "spendstream.usage", "source": "/answer-service"}
    return as_json({**envelope, **attributes, "data": data})


def valid() -> Iterator[tuple[str, str, bytes, Fields]]:
    """Name, framing, value, and the fields that are not null."""
    for name, fields in valid_events():
        yield name, "single_object", single_object(fields), fields
        yield name, "confluent", registered(fields), fields
        yield name, "json", as_json(fields), fields
        yield name, "cloudevent", cloudevent(fields, id="ignored"), fields
    tagged = with_(MINIMAL, tags={"a": "b"})
    start = SINGLE_OBJECT + datum(MINIMAL)[:-1] + b"\x02"
    sized = start + b"\x01\x08" + b"\x02a\x02b" + b"\x00"
    split = start + b"\x02\x02a\x02b" + b"\x02\x02c\x02d" + b"\x00"
    twice = start + b"\x04\x02a\x02z\x02a\x02b" + b"\x00"
    yield "map block with its size", "single_object", sized, tagged
    yield "map in two blocks", "single_object", split, with_(MINIMAL, tags={"a": "b", "c": "d"})
    yield "a map key twice: the last", "single_object", twice, tagged

    bare = without(MINIMAL, "event_id", "occurred_at")
    envelope = cloudevent(bare, id="evt-minimal", time="2026-11-01T12:00:00Z")
    yield "id and time of the envelope", "cloudevent", envelope, MINIMAL
    yield "no kind", "json", as_json(without(MINIMAL, "kind")), MINIMAL
    yield "explicit nulls", "json", as_json(with_(MINIMAL, tags=None, attempt=None)), MINIMAL
    yield "after white space", "json", b" \r\n\t" + as_json(MINIMAL) + b"\n", MINIMAL
    escaped = json.dumps(with_(MINIMAL, team="検索 🔍")).encode()
    yield "escaped text", "json", escaped, with_(MINIMAL, team="検索 🔍")
    for name, written, read in (
        ("time in another zone", "2026-11-01T17:30:00+05:30", "2026-11-01T12:00:00Z"),
        ("nanoseconds are cut", "2026-11-01T12:00:00.123456789Z", "2026-11-01T12:00:00.123456Z"),
    ):
        value = as_json(with_(MINIMAL, occurred_at=written))
        yield name, "json", value, with_(MINIMAL, occurred_at=read)
    for written, read in (
        ("1e-05", "0.00001"),
        ("1.5E3", "1500"),
        ("007.50", "7.50"),
        (" ٣ ", "3"),
        ("0E+999999999", "0"),
    ):
        fields = with_(MINIMAL, provider_cost=written)
        wanted = with_(MINIMAL, provider_cost=read)
        yield f"cost {written!r} made plain", "json", as_json(fields), wanted
        yield f"cost {written!r} made plain", "single_object", SINGLE_OBJECT + datum(fields), wanted


def broken_json() -> Iterator[tuple[str, bytes, str, str]]:
    def of(**changes: Any) -> bytes:
        return as_json(with_(MINIMAL, **changes))

    for name in ("event_id", "occurred_at", "provider", "model", "team", "usage_source"):
        yield f"without {name}", as_json(without(MINIMAL, name)), "missing_field", name
    yield "an empty object", b"{}", "missing_field", "event_id"
    yield "unknown field", of(cost=1), "unknown_field", "cost"
    for name in ("kind", "service_tier", "status", "usage_source"):
        yield f"{name} unheard of", of(**{name: "gold"}), "invalid_field", name
    yield "kind null", of(kind=None), "invalid_field", "kind"
    for name, number in (
        ("a boolean", b"true"),
        ("a fraction", b"1.0"),
        ("an exponent", b"1e3"),
        ("a huge exponent", b"1e99999999999999999999"),
        ("a tiny exponent", b"1e-99999999999999999999"),
        ("NaN", b"NaN"),
        ("Infinity", b"-Infinity"),
        ("text", b'"12"'),
        ("2**63", str(2**63).encode()),
        ("-2**63 - 1", str(-(2**63) - 1).encode()),
        ("4000 digits", b"9" * 4000),
    ):
        value = of().replace(b": 1200", b": " + number)
        yield f"input_tokens {name}", value, "invalid_field", "input_tokens"
    yield (
        "5000 digits",
        of().replace(b": 1200", b": " + b"9" * 5000),
        "undecodable_json",
        "not JSON",
    )
    yield "attempt 2**31", of(attempt=2**31), "invalid_field", "attempt"
    yield "served_from_cache 1", of(served_from_cache=1), "invalid_field", "served_from_cache"
    yield "team a number", of(team=5), "invalid_field", "team"
    yield "cost a number", of(provider_cost=0.5), "invalid_field", "provider_cost"
    yield "a tag a number", of(tags={"a": 1}), "invalid_field", "tags"
    yield "tags a list", of(tags=[["a", "b"]]), "invalid_field", "tags"
    for time in ("2026-11-01T12:00:00", "2026-11-01", "20261101T120000Z", 1793534400, "yesterday"):
        yield f"time {time}", of(occurred_at=time), "invalid_field", "occurred_at"
    for time in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        yield f"time {time}", of(occurred_at=time), "time_out_of_range", "occurred_at"
    for name, place in (("team", "team"), ("kind", "kind"), ("occurred_at", "occurred_at")):
        value = json.dumps(with_(MINIMAL, **{name: "\ud800"})).encode()
        yield f"half a surrogate pair in {name}", value, "invalid_field", place
    for name, changes in (("a key", {"\ud800": "a"}), ("a tag", {"tags": {"\ud800": "a"}})):
        value = json.dumps(with_(MINIMAL, **changes)).encode()
        yield f"half a surrogate pair in {name}", value, "invalid_field", "unicode"
    raw_half = of().replace(b"search", b"\xed\xa0\x80")
    yield "half a surrogate pair, raw", raw_half, "undecodable_json", "utf-8"
    yield "UTF-16", of().decode().encode("utf-16-le"), "undecodable_json", "not JSON"
    twice = of().replace(b'"output_tokens": 0', b'"input_tokens": 7')
    yield "a key twice", twice, "undecodable_json", "'input_tokens' appears twice"
    yield "cut JSON", of()[:-1], "undecodable_json", "not JSON"
    yield "two JSON documents", of() + of(), "undecodable_json", "Extra data"
    yield "white space only", b" \n", "undecodable_json", "not JSON"
    yield "a list after white space", b" [1]", "undecodable_json", "object"
    yield "deep nesting", b'{"a":' * 20_000, "undecodable_json", "recursion"
    for name, data in (("text", "x"), ("null", None), ("a list", [])):
        yield f"CloudEvent data {name}", cloudevent(data), "bad_cloudevent", "data"
    no_data = as_json({"specversion": "1.0", "id": "a", "data_base64": "AA=="})
    yield "CloudEvent without data", no_data, "bad_cloudevent", "data"
    bad = cloudevent(with_(MINIMAL, input_tokens=-1))
    yield "CloudEvent with a broken event", bad, "negative_tokens", "input_tokens is -1"


def broken_bytes() -> Iterator[tuple[str, bytes | None, str, str]]:
    body = datum(MINIMAL)
    good = SINGLE_OBJECT + body
    yield "tombstone", None, "empty_value", "no value"
    yield "empty", b"", "empty_value", "no value"
    yield "text", b"hello", "unknown_framing", "6865"
    yield "a JSON list", b"[{}]", "unknown_framing", "5b7b"
    yield "half a magic", b"\xc3", "unknown_framing", "c3"
    yield "fingerprint cut", good[:2], "unknown_schema", "(cut)"
    yield "fingerprint unknown", b"\xc3\x01" + bytes(8) + body, "unknown_schema", "0" * 16
    yield "Confluent id cut", b"\x00\x00\x00", "unknown_schema", "cut off"
    unknown = confluent(UNKNOWN_SCHEMA_ID, body)
    yield "Confluent id unknown", unknown, "unknown_schema", str(UNKNOWN_SCHEMA_ID)
    yield "header only", SINGLE_OBJECT, "undecodable_avro", "usage_event.v1"
    yield "Confluent header only", confluent(CONFLUENT_SCHEMA_ID, b""), "undecodable_avro", "v1"
    yield "cut Avro", good[:-3], "undecodable_avro", "usage_event.v1"
    nulls_after_boolean = 6
    boolean = SINGLE_OBJECT + datum(with_(MINIMAL, served_from_cache=True))
    before_boolean = boolean[: -nulls_after_boolean - 1]
    yield "cut before a boolean", before_boolean, "undecodable_avro", "cannot read boolean"
    yield "a byte too many", good + b"\x00", "undecodable_avro", "1 bytes follow"
    yield "not UTF-8", good.replace(b"search", b"se\xff\xferc"), "undecodable_avro", "utf-8"
    surrogate = good.replace(b"search", b"sea\xed\xa0\x80")
    yield "half a surrogate pair in Avro", surrogate, "undecodable_avro", "utf-8"
    kind_at = good.index(b"\x0copenai") - 2
    for name, at in (("enum symbol", kind_at), ("union branch", kind_at + 1)):
        value = good[:at] + b"\x0a" + good[at + 1 :]
        yield f"{name} out of range", value, "undecodable_avro", "range"
    for power in (20, 35, 62):
        count = varint(2**power)
        yield f"text of 2**{power} bytes", SINGLE_OBJECT + count + b"ab", "undecodable_avro", "v1"
        block = good[:-1] + b"\x02" + count
        yield f"map of 2**{power} tags", block, "undecodable_avro", "v1"
        negative = good[:-1] + b"\x02" + varint(-(2**power)) + varint(2**power) + b"\x00\x00"
        yield f"sized map of 2**{power} tags", negative, "undecodable_avro", "v1"
    lowest = good[:-1] + b"\x02" + varint(-(2**63))
    yield "map of -2**63 tags", lowest, "undecodable_avro", "v1"
    for name, micros in (
        ("nanoseconds", 1_793_534_400 * 10**9),
        ("the lowest", -(2**63)),
        ("milliseconds", 1_793_534_400_000),
        ("seconds", 1_793_534_400),
    ):
        value = SINGLE_OBJECT + datum(with_(MINIMAL, occurred_at=micros))
        yield f"time in {name}", value, "time_out_of_range", "is the unit right?"


def varint(number: int) -> bytes:
    """Avro's zig-zag integer."""
    rest = (number << 1 ^ number >> 63) & 2**64 - 1
    written = bytearray()
    while rest > 127:
        written.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*written, rest])


def invalid() -> Iterator[tuple[str, bytes | None, str, str]]:
    for name, fields, code, detail_has in broken_events():
        yield f"{name}, single object", single_object(fields), code, detail_has
        yield f"{name}, Confluent", registered(fields), code, detail_has
        yield f"{name}, JSON", as_json(fields), code, detail_has
    yield from broken_json()
    yield from broken_bytes()


def lines() -> dict[str, str]:
    """File name → its text."""
    good = [
        {"name": f"{name}, {framing}", "framing": framing, "value_hex": v.hex(), "expect": expect}
        for name, framing, v, expect in valid()
    ]
    bad = [
        {
            "name": name,
            "value_hex": None if value is None else value.hex(),
            "code": code,
            "detail_has": detail_has,
        }
        for name, value, code, detail_has in invalid()
    ]
    return {
        name: "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        for name, entries in (("valid.jsonl", good), ("invalid.jsonl", bad))
    }


if __name__ == "__main__":
    for file_name, text in lines().items():
        Path(__file__).with_name(file_name).write_text(text, "utf-8")
