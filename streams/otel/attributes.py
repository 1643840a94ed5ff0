"""The attributes of a span, a data point or a resource, read by the first name that is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from schemas.errors import InvalidEvent
from schemas.usage import MAX_LONG

Value = str | bool | int | float


class Attributes:
    """Scalars by name. Lists, maps and bytes are not kept: that is where prompts and answers are.

    Of a name that comes twice, which OTLP forbids, the last holds.
    """

    def __init__(self, pairs: Iterable[KeyValue] = ()) -> None:
        self._values = {
            pair.key: value for pair in pairs if (value := _scalar(pair.value)) is not None
        }

    def __iter__(self) -> Iterator[tuple[str, Value]]:
        """Names and values, by name."""
        return iter(sorted(self._values.items()))

    def has(self, names: Iterable[str]) -> bool:
        """Whether any of the names is there."""
        return any(name in self._values for name in names)

    def text(self, *names: str) -> str | None:
        """The first text that is not blank, or whole number as text (a numeric user id)."""
        for name in names:
            value = self._values.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
            if isinstance(value, str) and value.strip():
                return value
        return None

    def count(self, *names: str) -> int | None:
        """The first of them as a count of tokens; None where none is there.

        Some exporters send numbers as doubles or as text: a whole one is what it says. Raises
        InvalidEvent for anything else: a number that cannot be read is not taken for unknown.
        """
        for name in names:
            if name in self._values:
                return _count(name, self._values[name])
        return None


def _scalar(value: AnyValue) -> Value | None:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case _:
            return None


def _count(name: str, value: Value) -> int:
    number: int | None = None
    if isinstance(value, str):
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    elif isinstance(value, float):
        number = int(value) if value.is_integer() and abs(value) <= MAX_LONG else None
    elif not isinstance(value, bool):
        number = value
    if number is None:
        raise InvalidEvent("invalid_field", f"{name} is {str(value)[:80]!r}, no number of tokens")
    if number < 0:
        raise InvalidEvent("negative_tokens", f"{name} is {number}, below zero")
    return number
