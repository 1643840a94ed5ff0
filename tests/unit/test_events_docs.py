"""docs/events.md against the contract."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from schemas import usage, wire
from schemas.avro_files import newest_usage_schema
from schemas.tokens import BUCKET_NAMES
from schemas.topics import (
    DETAIL_HEADER,
    OFFSET_HEADER,
    PARTITION_HEADER,
    REASON_HEADER,
    SOURCE_HEADER,
)
from schemas.wire import decode, framing_of, no_registry
from streams.metering import events

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
EXAMPLES = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
TYPES = {
    "string": "text",
    "int": "integer",
    "long": "integer",
    "boolean": "true or false",
    "timestamp-micros": "time",
    "map": "map of text",
}


def field_row(field: dict[str, Any]) -> str:
    """The row that the page has for a field of the Avro file."""
    kind = field["type"][-1] if isinstance(field["type"], list) else field["type"]
    if isinstance(kind, dict):
        symbols = ", ".join(f"`{symbol}`" for symbol in kind.get("symbols", ()))
        kind = symbols or kind.get("logicalType", kind["type"])
    required = "" if "default" in field else "yes"
    return f"| `{field['name']}` | {TYPES.get(kind, kind)} | {required} | {field['doc']} |"


def rows(section: str) -> list[str]:
    """Rows of the section's first table, without its head."""
    table = re.search(r"(?:^\|.*\n)+", SECTIONS[section], re.MULTILINE)
    assert table, section
    return table[0].splitlines()[2:]


def first_cells(section: str) -> list[str]:
    return [row.split("|")[1].strip().strip("`") for row in rows(section)]


def test_the_table_of_fields_is_that_of_the_avro_file():
    fields = json.loads(newest_usage_schema().text)["fields"]
    assert rows("Fields") == [field_row(field) for field in fields]


def test_the_table_of_refusals_has_every_code_of_the_source():
    raised = {
        node.args[0].value
        for module in (usage, wire, events)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"InvalidEvent", "PydanticCustomError", "Refusal"}
        and isinstance(node.args[0], ast.Constant)
    }
    assert first_cells("Refusals") == sorted(raised)


def test_the_headers_of_a_dead_letter_are_named():
    headers = (SOURCE_HEADER, PARTITION_HEADER, OFFSET_HEADER, REASON_HEADER, DETAIL_HEADER)
    assert [header for header in headers if f"`{header}`" not in SECTIONS["Refusals"]] == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_a_valid_event(text):
    event = decode(text.encode())
    assert event.team == "search"
    assert framing_of(text.encode(), no_registry).kind == "json"


def test_the_examples_show_a_bare_event_a_cloudevent_and_a_void():
    documents = [json.loads(text) for text in EXAMPLES]
    assert [d.get("specversion", d.get("kind", "usage")) for d in documents] == [
        "usage",
        "1.0",
        "void",
    ]


@pytest.mark.parametrize(
    ("provider", "reported"),
    [("openai", 1200 + 300), ("anthropic", 50 + 2000 + 300 + 120)],
)
def test_the_buckets_of_an_example_add_up_to_what_the_provider_reported(provider, reported):
    events = (decode(text.encode()) for text in EXAMPLES)
    event = next(e for e in events if e.provider == provider)
    assert sum(getattr(event, name) or 0 for name in BUCKET_NAMES) == reported


def test_every_bucket_is_explained():
    assert first_cells("Tokens") == list(BUCKET_NAMES)
