"""Examples of usage events as bytes, shared by the tests of every consumer.

Each consumer must accept all of `valid_examples` with the fields they expect, and refuse all of
`invalid_examples` with their code. `make.py` beside this file wrote them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from schemas.avro_files import AvroSchema, usage_schemas

CONFLUENT_SCHEMA_ID = 7
"""The id under which version 1 is registered for the examples in Confluent framing."""
NEWEST_SCHEMA_ID = 9
"""The id of the newest version."""
UNKNOWN_SCHEMA_ID = 404
"""An id that no lookup of a test may know."""

Framing = Literal["single_object", "confluent", "json", "cloudevent"]


@dataclass(frozen=True, slots=True)
class ValidExample:
    """``expect``: the fields that are not null, as `UsageEvent.model_dump_json` writes them."""

    name: str
    framing: Framing
    value: bytes
    expect: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InvalidExample:
    """A record value (None: a tombstone) with the code of its refusal and part of the detail."""

    name: str
    value: bytes | None
    code: str
    detail_has: str


def lookup(schema_id: int) -> AvroSchema | None:
    """The schema registry of the examples."""
    return {CONFLUENT_SCHEMA_ID: usage_schemas()[0], NEWEST_SCHEMA_ID: usage_schemas()[-1]}.get(
        schema_id
    )


@cache
def valid_examples() -> tuple[ValidExample, ...]:
    return tuple(
        ValidExample(
            line["name"], line["framing"], bytes.fromhex(line["value_hex"]), line["expect"]
        )
        for line in _lines("valid.jsonl")
    )


@cache
def invalid_examples() -> tuple[InvalidExample, ...]:
    return tuple(
        InvalidExample(
            line["name"],
            None if line["value_hex"] is None else bytes.fromhex(line["value_hex"]),
            line["code"],
            line["detail_has"],
        )
        for line in _lines("invalid.jsonl")
    )


def _lines(name: str) -> list[dict[str, Any]]:
    text = Path(__file__).with_name(name).read_text("utf-8")
    return [json.loads(line) for line in text.split("\n") if line]
