"""The wire codec for one event: which of three framings, by the first byte, and what is inside.

========= ============================================ =================================
first     framing                                      then
========= ============================================ =================================
``00``    Confluent                                    schema id (4 bytes, big endian), Avro
``C3 01`` Avro single-object encoding (the default)    fingerprint (8 bytes), Avro
``{``     JSON: a bare event or a CloudEvent           UTF-8, may follow white space
========= ============================================ =================================
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

from fastavro import schemaless_reader, schemaless_writer

from schemas.avro_files import (
    AvroSchema,
    newest_usage_schema,
    usage_schema_by_fingerprint,
)
from schemas.errors import InvalidEvent
from schemas.usage import UsageEvent, checked

CONFLUENT_MAGIC = b"\x00"
CONFLUENT_HEADER = 5
SINGLE_OBJECT_MAGIC = b"\xc3\x01"
SINGLE_OBJECT_HEADER = 10
MAX_EVENT_BYTES = 262_144
"""Largest record value that is decoded: all fields at their longest, and as much again for tags."""
_JSON_STARTS = frozenset(b"{ \t\r\n")

SchemaLookup = Callable[[int], AvroSchema | None]
"""From a registry's schema id to the schema; None where the registry does not know the id.
Raises where the registry cannot be asked: then nothing is known of the event, and it must wait."""


def no_registry(schema_id: int) -> AvroSchema | None:
    """Lookup for a stage that has no schema registry: knows no id."""
    return None


@dataclass(frozen=True, slots=True)
class Framing:
    """How one value is framed. ``body`` is where the datum starts; ``schema`` is set for Avro."""

    kind: Literal["avro", "json"]
    body: int
    schema: AvroSchema | None = None


def framing_of(value: bytes | None, lookup: SchemaLookup) -> Framing:
    """Read the framing. Raises InvalidEvent where there is none that is known."""
    if not value:
        raise InvalidEvent("empty_value", "the record has no value; a usage event was expected")
    if len(value) > MAX_EVENT_BYTES:
        raise InvalidEvent(
            "event_too_large",
            f"the record has {len(value):,} bytes; a usage event has at most {MAX_EVENT_BYTES:,}, "
            "and no prompt in it",
        )
    if value[:2] == SINGLE_OBJECT_MAGIC:
        mark = value[2:SINGLE_OBJECT_HEADER]
        schema = usage_schema_by_fingerprint(mark)
        if schema is None:
            raise InvalidEvent(
                "unknown_schema",
                f"no usage event schema has the fingerprint {mark.hex() or '(cut)'}",
            )
        return Framing("avro", SINGLE_OBJECT_HEADER, schema)
    if value[:1] == CONFLUENT_MAGIC:
        if len(value) < CONFLUENT_HEADER:
            raise InvalidEvent("unknown_schema", "the schema id of Confluent framing is cut off")
        (schema_id,) = struct.unpack(">I", value[1:CONFLUENT_HEADER])
        schema = lookup(schema_id)
        if schema is None:
            raise InvalidEvent(
                "unknown_schema", f"the schema registry knows no usable schema with id {schema_id}"
            )
        return Framing("avro", CONFLUENT_HEADER, schema)
    if value[0] in _JSON_STARTS:
        return Framing("json", 0)
    raise InvalidEvent(
        "unknown_framing",
        f"the value starts with {value[:2].hex()}; Avro single-object (c301), Confluent (00) or "
        "JSON ({) were expected",
    )


def decode(value: bytes | None, lookup: SchemaLookup = no_registry) -> UsageEvent:
    """Decode and check one record value. Raises InvalidEvent with the reason."""
    framing = framing_of(value, lookup)
    assert value is not None  # noqa: S101 - framing_of refused it otherwise
    return checked(decode_fields(value, framing))


def decode_fields(value: bytes, framing: Framing) -> Mapping[str, Any]:
    """The fields of one framed value, before the rules are checked. Raises InvalidEvent."""
    if framing.schema is None:
        return _json_fields(value)
    return _avro_fields(value[framing.body :], framing.schema)


def _avro_fields(datum: bytes, schema: AvroSchema) -> Mapping[str, Any]:
    stream = BytesIO(datum)
    newest = newest_usage_schema()
    # A registry's copy of the newest may lack logical types, which no fingerprint covers.
    known = schema.fingerprint == newest.fingerprint
    writer, reader = (newest.parsed, None) if known else (schema.parsed, newest.parsed)
    try:
        fields = schemaless_reader(stream, writer, reader)
    except OverflowError as error:  # only a time can be too large for its Python type
        raise InvalidEvent(
            "time_out_of_range",
            "occurred_at: is outside the years 1 to 9999; times from 2000 to 2099 are metered "
            "(is the unit right?)",
        ) from error
    except Exception as error:
        # fastavro names the stream, address and all; one reason must be one text.
        reason = str(error).partition(" from <")[0] or "it ends too soon"
        raise InvalidEvent("undecodable_avro", f"not a {schema.name} datum: {reason}") from error
    if stream.tell() != len(datum):
        raise InvalidEvent(
            "undecodable_avro", f"{len(datum) - stream.tell()} bytes follow the {schema.name} datum"
        )
    if not isinstance(fields, dict):
        raise InvalidEvent("undecodable_avro", f"{schema.name} is not a record")
    return fields


def json_document(value: bytes) -> Any:
    """What is in JSON, of any shape. Raises InvalidEvent: no JSON, or a key that is there twice."""
    try:
        return json.loads(value.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent("undecodable_json", f"not JSON: {error}") from error


def _json_fields(value: bytes) -> Mapping[str, Any]:
    document = json_document(value)
    if not isinstance(document, dict):
        raise InvalidEvent("undecodable_json", "a usage event is a JSON object")
    return from_cloudevent(document) if "specversion" in document else document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Two values under one key could both be the billed one: neither is taken."""
    members = dict(pairs)
    if len(members) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice!r} appears twice")
    return members


def from_cloudevent(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields of the event inside a CloudEvents 1.0 envelope (structured mode, JSON).

    ``data`` is the usage event; ``id`` and ``time`` of the envelope serve where it leaves out
    event_id and occurred_at.
    """
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise InvalidEvent("bad_cloudevent", "data of the CloudEvent is not a usage event object")
    fields = dict(data)
    for field, attribute in (("event_id", "id"), ("occurred_at", "time")):
        if field not in fields and attribute in envelope:
            fields[field] = envelope[attribute]
    return fields


def encode(event: UsageEvent) -> bytes:
    """Avro single-object encoding under the newest schema; needs no registry."""
    schema = newest_usage_schema()
    return SINGLE_OBJECT_MAGIC + schema.fingerprint + _avro_datum(event, schema)


def encode_confluent(event: UsageEvent, schema_id: int) -> bytes:
    """Confluent framing under the newest schema, which the registry knows as ``schema_id``."""
    header = CONFLUENT_MAGIC + struct.pack(">I", schema_id)
    return header + _avro_datum(event, newest_usage_schema())


def encode_json(event: UsageEvent) -> bytes:
    """A bare JSON event, without the fields that are null."""
    return event.model_dump_json(exclude_none=True).encode()


def _avro_datum(event: UsageEvent, schema: AvroSchema) -> bytes:
    stream = BytesIO()
    schemaless_writer(stream, schema.parsed, dict(event))
    return stream.getvalue()
