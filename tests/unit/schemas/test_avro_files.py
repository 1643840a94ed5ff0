from __future__ import annotations

import json
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from fastavro import schemaless_reader, schemaless_writer

from schemas import avro_files
from schemas.avro_files import (
    avro_schema,
    newest_usage_schema,
    usage_schema_by_fingerprint,
    usage_schemas,
)
from schemas.usage import UsageEvent
from schemas.wire import decode, encode, encode_confluent
from tests.corpus import valid_examples
from tests.unit.schemas.compatibility import breaking, changed, field_of, raw

LATER_ID = 8


def crc_64_avro(data: bytes) -> bytes:
    """The algorithm as the Avro specification prints it, bit by bit; little endian."""
    empty = 0xC15D213AA4D7A795
    table = []
    for place in range(256):
        fp = place
        for _ in range(8):
            fp = fp >> 1 ^ (empty if fp & 1 else 0)
        table.append(fp)
    fp = empty
    for byte in data:
        fp = fp >> 8 ^ table[(fp ^ byte) & 0xFF]
    return fp.to_bytes(8, "little")


def canonical(schema: Any) -> str:
    """Parsing Canonical Form, for schemas whose named types are all in their record's namespace."""
    return json.dumps(_canonical(schema, ""), separators=(",", ":"), ensure_ascii=False)


def _canonical(schema: Any, namespace: str) -> Any:
    if isinstance(schema, str):
        return schema
    if isinstance(schema, list):
        return [_canonical(branch, namespace) for branch in schema]
    namespace = schema.get("namespace", namespace)
    kept: dict[str, Any] = {}
    if "name" in schema:
        kept["name"] = f"{namespace}.{schema['name']}"
    kept["type"] = schema["type"]
    if "fields" in schema:
        kept["fields"] = [
            {"name": field["name"], "type": _canonical(field["type"], namespace)}
            for field in schema["fields"]
        ]
    for name in ("symbols", "values"):
        if name in schema:
            kept[name] = schema[name]
    return schema["type"] if list(kept) == ["type"] else kept


def add_gateway(document: Any) -> None:
    document["fields"].insert(3, {"name": "gateway", "type": ["null", "string"], "default": None})


def test_the_crc_of_a_published_schema_is_known():
    # The test vector of Avro's own suites: the schema "null" has the fingerprint 63dd24e7cc258f8a.
    assert crc_64_avro(b'"null"')[::-1].hex() == "63dd24e7cc258f8a"


@pytest.mark.parametrize("schema", usage_schemas(), ids=lambda schema: schema.name)
def test_a_fingerprint_is_the_crc_of_the_canonical_form(schema):
    assert schema.fingerprint == crc_64_avro(canonical(raw(schema)).encode())


def test_version_1_keeps_its_fingerprint():
    first = usage_schemas()[0]
    assert (first.name, first.fingerprint.hex()) == ("usage_event.v1.avsc", "095eaf1965a82908")


def test_version_2_keeps_its_fingerprint():
    second = usage_schemas()[1]
    assert (second.name, second.fingerprint.hex()) == ("usage_event.v2.avsc", "99c01c81cdc21f5b")


def test_versions_are_numbered_from_one_without_a_gap():
    names = [schema.name for schema in usage_schemas()]
    assert names == [f"usage_event.v{n}.avsc" for n in range(1, len(names) + 1)]
    assert newest_usage_schema() is usage_schemas()[-1]


def test_a_fingerprint_leads_to_its_version():
    for schema in usage_schemas():
        assert usage_schema_by_fingerprint(schema.fingerprint) is schema


def test_unknown_fingerprints_take_no_memory():
    for number in range(1000):
        assert usage_schema_by_fingerprint(number.to_bytes(8, "big")) is None
    sizes = [
        value.cache_info().currsize
        for value in vars(avro_files).values()
        if hasattr(value, "cache_info")
    ]
    assert max(sizes) <= 1


@pytest.mark.parametrize("text", ['"string"', '["null", "string"]', "{"])
def test_a_text_that_is_no_record_is_refused(text):
    with pytest.raises(ValueError):
        avro_schema("no_record.avsc", text)


@pytest.mark.parametrize("schema", usage_schemas(), ids=lambda schema: schema.name)
def test_every_field_has_a_doc(schema):
    undocumented = [f["name"] for f in raw(schema)["fields"] if not f.get("doc", "").strip()]
    assert undocumented == []
    assert raw(schema)["doc"]


def test_adjacent_versions_read_each_other():
    for older, newer in pairwise(usage_schemas()):
        assert breaking(raw(older), raw(newer)) == []


def test_an_added_optional_field_is_compatible():
    newest = newest_usage_schema()
    assert breaking(raw(newest), raw(changed(add_gateway))) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda d: d["fields"].append({"name": "gateway", "type": "string"}),
            "new reader, old data: gateway: not written, and no default",
        ),
        (
            lambda d: d["fields"].remove(field_of(d, "team")),
            "old reader, new data: team: not written, and no default",
        ),
        (
            lambda d: field_of(d, "team").update(type=["null", "string"]),
            "old reader, new data: team: null became string",
        ),
        (
            lambda d: field_of(d, "latency_ms").update(type=["null", "double"]),
            "old reader, new data: latency_ms: double is in no branch",
        ),
        (
            lambda d: field_of(d, "status")["type"][1]["symbols"].append("refused"),
            "old reader, new data: status: symbols ['refused']",
        ),
        (
            lambda d: field_of(d, "status")["type"][1].update(name="Outcome"),
            "new reader, old data: status: the enum was renamed",
        ),
        (
            lambda d: field_of(d, "occurred_at")["type"].update(logicalType="timestamp-millis"),
            "new reader, old data: occurred_at: the logical type changed",
        ),
        (
            lambda d: field_of(d, "tags")["type"][1].update(values="long"),
            "old reader, new data: tags: long became string",
        ),
        (lambda d: d.update(name="Usage"), "new reader, old data: : the record was renamed"),
    ],
)
def test_a_change_that_breaks_a_reader_is_found(change, reason):
    assert reason in breaking(raw(newest_usage_schema()), raw(changed(change)))


def test_events_of_a_later_version_are_read_through_the_registry():
    later = changed(add_gateway)
    example = next(e for e in valid_examples() if e.name == "maximal, single_object")
    event = decode(example.value)
    stream = BytesIO()
    schemaless_writer(stream, later.parsed, {**event.model_dump(), "gateway": "litellm"})
    framed = b"\x00" + LATER_ID.to_bytes(4, "big") + stream.getvalue()
    assert decode(framed, {LATER_ID: later}.get) == event


def test_a_reader_of_a_later_version_reads_the_corpus():
    later = changed(add_gateway)
    for example in valid_examples():
        if example.framing == "single_object":
            writer = usage_schema_by_fingerprint(example.value[2:10])
            assert writer is not None
            fields = schemaless_reader(BytesIO(example.value[10:]), writer.parsed, later.parsed)
            assert fields.pop("gateway") is None
            event = UsageEvent.model_validate(fields)
            assert event.model_dump(mode="json", exclude_none=True) == example.expect


def test_a_registry_copy_without_logical_types_reads_the_same():
    # Parsing Canonical Form strips logical types, so this copy has the newest's fingerprint.
    plain = changed(lambda d: field_of(d, "occurred_at").update(type="long"))
    assert plain.fingerprint == newest_usage_schema().fingerprint
    event = decode(valid_examples()[0].value)
    assert decode(encode_confluent(event, 9), {9: plain}.get) == event
    assert decode(encode(event)) == event
