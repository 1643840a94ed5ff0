"""The package's Avro writer against fastavro's, which implements the specification."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_writer
from fastavro.schema import to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st
from spendstream._avro import SCHEMA, encode

PARSED = parse_schema(SCHEMA)


def values_of(avro_type: Any) -> st.SearchStrategy[Any]:
    if isinstance(avro_type, list):
        return st.none() | values_of(avro_type[1])
    if isinstance(avro_type, dict):
        if avro_type["type"] == "enum":
            return st.sampled_from(avro_type["symbols"])
        if avro_type["type"] == "map":
            return st.dictionaries(st.text(), st.text(), max_size=3)
        return st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
    return {
        "string": st.text(max_size=100),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "boolean": st.booleans(),
    }[avro_type]


@given(st.fixed_dictionaries({f["name"]: values_of(f["type"]) for f in SCHEMA["fields"]}))
def test_the_datum_is_what_fastavro_writes(event):
    stream = BytesIO()
    schemaless_writer(stream, PARSED, event)
    assert encode(event)[10:] == stream.getvalue()


def test_the_header_is_the_mark_and_the_schemas_fingerprint():
    # The canonical form's CRC-64-AVRO by the specification's own algorithm, little endian.
    assert encode(_least())[:2] == b"\xc3\x01"
    assert encode(_least())[2:10] == _crc_64_avro().to_bytes(8, "little")


def _least() -> dict[str, Any]:
    names = dict.fromkeys(("event_id", "provider", "model", "team"), "x")
    return (
        names
        | {"occurred_at": datetime(2026, 1, 1, tzinfo=UTC), "kind": "usage"}
        | {"usage_source": "missing"}
    )


def _crc_64_avro() -> int:
    empty = 0xC15D213AA4D7A795
    found = empty
    for byte in to_parsing_canonical_form(SCHEMA).encode():
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (empty if found & 1 else 0)
    return found
