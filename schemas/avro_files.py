"""The Avro files of the usage event, oldest first. A new version is a new file; none is edited.

Fingerprints are CRC-64-AVRO of the parsing canonical form (Avro specification 1.12, "Schema
Fingerprints"), little endian, as single-object encoding carries them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form


@dataclass(frozen=True, slots=True, eq=False)
class AvroSchema:
    """One schema: as text, as fastavro parsed it, and its fingerprint (8 bytes)."""

    name: str
    text: str
    parsed: dict[str, Any]
    fingerprint: bytes


def avro_schema(name: str, text: str) -> AvroSchema:
    """Parse a schema's JSON text. Raises fastavro's SchemaParseException or ValueError."""
    raw = json.loads(text)
    parsed = parse_schema(raw)
    if not isinstance(parsed, dict):
        raise ValueError(f"{name} is not a record schema")  # noqa: TRY004 - it is the text's value
    canonical = to_parsing_canonical_form(raw)
    return AvroSchema(
        name=name,
        text=text,
        parsed=parsed,
        fingerprint=bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO")),  # already so ordered
    )


@cache
def usage_schemas() -> tuple[AvroSchema, ...]:
    """Every version of the usage event, oldest first."""
    folder = files("schemas") / "avro"
    found = sorted(
        (entry for entry in folder.iterdir() if entry.name.startswith("usage_event.v")),
        key=lambda entry: int(entry.name.split(".")[1].removeprefix("v")),
    )
    return tuple(avro_schema(entry.name, entry.read_text("utf-8")) for entry in found)


def newest_usage_schema() -> AvroSchema:
    """The version that producers write and every reader resolves to."""
    return usage_schemas()[-1]


@cache
def _by_fingerprint() -> dict[bytes, AvroSchema]:
    return {schema.fingerprint: schema for schema in usage_schemas()}


def usage_schema_by_fingerprint(fingerprint_bytes: bytes) -> AvroSchema | None:
    """The version with this fingerprint, or None."""
    return _by_fingerprint().get(fingerprint_bytes)
