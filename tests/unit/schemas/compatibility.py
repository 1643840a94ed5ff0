"""Can every reader of one version of a record read what another version wrote?

The resolution rules of the Avro specification 1.12 ("Schema Resolution") for the types that the
contracts use, and one rule of ours: a logical type may not change, since no reader would notice.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from schemas.avro_files import AvroSchema, avro_schema, newest_usage_schema

PROMOTIONS = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
    ("bytes", "string"),
}


def unreadable(writer: Any, reader: Any, where: str = "") -> list[str]:
    """Why data of ``writer`` cannot always be read as ``reader``; empty where it can.

    Takes schemas as `json.loads` gives them, each named type written out where it is used.
    """
    if isinstance(writer, list):
        return [reason for branch in writer for reason in unreadable(branch, reader, where)]
    if isinstance(reader, list):
        tried = [unreadable(writer, branch, where) for branch in reader]
        if any(not reasons for reasons in tried):
            return []
        same_type = [r for r, b in zip(tried, reader, strict=True) if _type(b) == _type(writer)]
        return same_type[0] if same_type else [f"{where}: {_type(writer)} is in no branch"]
    if _type(writer) != _type(reader):
        if (_type(writer), _type(reader)) in PROMOTIONS:
            return []
        return [f"{where}: {_type(writer)} became {_type(reader)}"]
    if _attribute(writer, "logicalType") != _attribute(reader, "logicalType"):
        return [f"{where}: the logical type changed"]
    return _RULES.get(_type(reader), _nothing)(writer, reader, where)


def breaking(older: Any, newer: Any) -> list[str]:
    """What breaks when readers and writers of the two versions meet, in either direction."""
    return [
        *(f"new reader, old data: {reason}" for reason in unreadable(older, newer)),
        *(f"old reader, new data: {reason}" for reason in unreadable(newer, older)),
    ]


def raw(schema: AvroSchema) -> Any:
    return json.loads(schema.text)


def changed(change: Callable[[Any], object]) -> AvroSchema:
    """The newest schema with a change made to its JSON."""
    document = copy.deepcopy(raw(newest_usage_schema()))
    change(document)
    return avro_schema("usage_event.changed.avsc", json.dumps(document))


def field_of(document: Any, name: str) -> Any:
    return next(field for field in document["fields"] if field["name"] == name)


def _type(schema: Any) -> str:
    return schema["type"] if isinstance(schema, dict) else schema


def _attribute(schema: Any, name: str) -> Any:
    return schema.get(name) if isinstance(schema, dict) else None


def _nothing(writer: Any, reader: Any, where: str) -> list[str]:
    return []


def _record(writer: Any, reader: Any, where: str) -> list[str]:
    if writer["name"] != reader["name"]:
        return [f"{where}: the record was renamed"]
    written = {field["name"]: field for field in writer["fields"]}
    reasons = []
    for field in reader["fields"]:
        place = f"{where}.{field['name']}".lstrip(".")
        if field["name"] in written:
            reasons += unreadable(written[field["name"]]["type"], field["type"], place)
        elif "default" not in field:
            reasons.append(f"{place}: not written, and no default")
    return reasons


def _enum(writer: Any, reader: Any, where: str) -> list[str]:
    if writer["name"] != reader["name"]:
        return [f"{where}: the enum was renamed"]
    unknown = sorted(set(writer["symbols"]) - set(reader["symbols"]))
    return [f"{where}: symbols {unknown}"] if unknown and "default" not in reader else []


def _map(writer: Any, reader: Any, where: str) -> list[str]:
    return unreadable(writer["values"], reader["values"], where)


_RULES = {"record": _record, "enum": _enum, "map": _map}
