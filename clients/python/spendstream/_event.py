"""From what the caller says to a whole event: defaults, identity, time, source; and voids."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from spendstream._fields import BUCKETS
from spendstream._rules import FIELD_NAMES, VOID_PREFIX, InvalidUsage

_FROM_ENVIRONMENT = (
    "team",
    "application",
    "environment",
    "department",
    "project",
    "use_case",
    "customer",
)
_SPELLED_OUT = 100
"""Decimals up to which a cost is spelled out: Decimal("1E-999999") would fill the memory."""
_OF_ONE_EVENT = frozenset({"event_id", "occurred_at", "kind", "voids"})


def new_event_id() -> str:
    """A UUID version 7 (RFC 9562, section 5.7) as 32 hex digits: it sorts by time, to the ms."""
    random = int.from_bytes(os.urandom(10), "big")
    milliseconds = time.time_ns() // 1_000_000
    high = (milliseconds & (2**48 - 1)) << 16 | 0x7000 | random >> 68
    low = 0b10 << 62 | random & (2**62 - 1)
    return f"{high << 64 | low:032x}"


def resolved_defaults(
    defaults: Mapping[str, Any] | None, environment: Mapping[str, str]
) -> dict[str, Any]:
    """The emitter's defaults: those given, over SPENDSTREAM_TEAM and its kin.

    Raises ValueError for a name that cannot be a default.
    """
    given = {name: value for name, value in (defaults or {}).items() if value is not None}
    for name in given:
        if name not in FIELD_NAMES or name in _OF_ONE_EVENT:
            raise ValueError(
                f"defaults: {name!r} is no field that events can share; "
                "team, application or tags would be"
            )
    said = {name: environment.get(f"SPENDSTREAM_{name.upper()}", "") for name in _FROM_ENVIRONMENT}
    return {name: value for name, value in said.items() if value.strip()} | given


def completed(
    fields: Mapping[str, Any],
    defaults: Mapping[str, Any],
    context: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """The event with what it leaves out: explicit over context over defaults.

    None counts as left out. Tags of all three are merged.
    """
    said = {name: value for name, value in fields.items() if value is not None}
    event = {**defaults, **context, **said}
    kind = event.setdefault("kind", "usage")
    if "event_id" not in event:
        voids = event.get("voids")
        event["event_id"] = f"{VOID_PREFIX}{voids}" if kind == "void" else new_event_id()
    if "occurred_at" not in event:
        event["occurred_at"] = datetime.now(UTC)
    if "usage_source" not in event:
        event["usage_source"] = "reported" if any(name in event for name in BUCKETS) else "missing"
    cost = event.get("provider_cost")
    if isinstance(cost, str | Decimal):
        event["provider_cost"] = _plain_text(cost)
    tags = event.get("tags")
    if isinstance(tags, Mapping):
        event["tags"] = {**defaults.get("tags", {}), **context.get("tags", {}), **tags}
    return event


def _plain_text(cost: str | Decimal) -> str:
    """A cost without exponent, padding or foreign digits; as it is where the rules refuse it."""
    try:
        number = Decimal(cost)
    except InvalidOperation:
        return str(cost)
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and abs(exponent) <= _SPELLED_OUT:
        return format(number, "f")
    return str(cost)


def void_of(original: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the event that takes ``original`` back.

    Raises InvalidUsage unless the original says its event_id and its occurred_at.
    """
    for name in ("event_id", "occurred_at"):
        if original.get(name) is None:
            raise InvalidUsage(
                "missing_field", name, f"{name} is required: a void repeats that of its original"
            )
    target = original["event_id"]
    return {**original, "kind": "void", "event_id": f"{VOID_PREFIX}{target}", "voids": target}
