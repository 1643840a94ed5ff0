"""Encodes rows of a trace as usage events, several times faster than one event at a time.

A replay sets the same dozen fields in every event and leaves the rest at their defaults. What is
constant is therefore encoded once, with fastavro; only the values in between are written per row,
by the binary encoding of Avro 1.12 (zigzag varints, strings with their length in front).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from schemas.avro_files import newest_usage_schema
from schemas.wire import SINGLE_OBJECT_MAGIC

_Encode = Callable[[Any], bytes]


class RowEncoder:
    """Encodes events that all set ``fields``, in Avro single-object encoding, newest schema.

    ``constants`` are the fields that have the same value in every event. Values are not checked
    against the rules of the contract: whoever reads the trace has checked them.
    """

    def __init__(self, fields: frozenset[str], constants: Mapping[str, Any]) -> None:
        schema = newest_usage_schema()
        self._encoders: list[tuple[str, _Encode]] = []
        template = _literal(SINGLE_OBJECT_MAGIC + schema.fingerprint)
        for field in schema.parsed["fields"]:
            name = field["name"]
            if name in fields:
                branch, encode = _value_encoder(name, field["type"])
                self._encoders.append((name, encode))
                template += _literal(branch) + b"%b"
            else:
                value = constants[name] if name in constants else field["default"]
                template += _literal(_datum(field["type"], value))
        self._template = template

    def encode(self, values: Mapping[str, str | int]) -> bytes:
        """One event. ``values`` has every field; occurred_at in microseconds since 1970, UTC."""
        return self._template % tuple([encode(values[name]) for name, encode in self._encoders])


class _Names(dict[str, bytes]):
    """Names from a roster, encoded: they repeat from row to row, and are as many as it lists."""

    def __missing__(self, name: str) -> bytes:
        encoded = self[name] = _string(name)
        return encoded


def _literal(constant: bytes) -> bytes:
    return constant.replace(b"%", b"%%")


def _value_encoder(name: str, avro_type: Any) -> tuple[bytes, _Encode]:
    """The bytes that select the union's branch, and how a value that is not null is written."""
    branch = b""
    if isinstance(avro_type, list):
        (index,) = (i for i, option in enumerate(avro_type) if option != "null")
        branch, avro_type = _long(index), avro_type[index]
    if isinstance(avro_type, dict):
        avro_type = avro_type["type"]
    if avro_type == "string":
        # Every event id is new: to remember them would only fill the memory.
        return branch, _string if name == "event_id" else _Names().__getitem__
    if avro_type != "long":
        raise ValueError(f"{name} is {avro_type}; rows set strings and longs only")
    return branch, _long


def _datum(avro_type: Any, value: Any) -> bytes:
    stream = BytesIO()
    schemaless_writer(stream, avro_type, value)
    return stream.getvalue()


def _long(value: int) -> bytes:
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    if rest < 0x80:
        return bytes((rest,))
    if rest < 0x4000:
        return bytes((rest & 0x7F | 0x80, rest >> 7))
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _string(value: str) -> bytes:
    text = value.encode()
    return _long(len(text)) + text
