"""Numbers, money, times and names as exports write them: text in CSV, typed in JSON.

Numbers of JSON come as int or Decimal, never as float. Everything here raises InvalidEvent, whose
sentence names the field; nothing that is there is ever taken for "not there".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from genai_prices.data_snapshot import get_snapshot

from schemas.errors import InvalidEvent
from schemas.usage import MAX_TEXT
from streams.otel import names
from streams.rating.list_prices import ListPrices

PICO = Decimal(1).scaleb(-12)
UNKNOWN = "unknown"
"""The provider of a model that says nothing and that no price list knows."""

_MAX_DIGITS = 19
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_MORE_PROVIDERS = {
    "azure_ai": "azure.ai.inference",
    "azure_text": "azure.ai.openai",
    "bedrock_converse": "aws.bedrock",
    "text-completion-openai": "openai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "x-ai": "x_ai",
}
"""Spellings of LiteLLM and genai-prices beside those that `streams.otel.names` knows."""


def text(value: Any) -> str | None:
    """Text without blanks around it; None where it is empty, or is not there."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int | Decimal):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return as_json(value)


def short(value: Any) -> str | None:
    """The same for a tag, which may be cut: it explains and identifies nothing."""
    found = text(value)
    return found[:MAX_TEXT] if found else None


def whole(row: Mapping[str, Any], name: str) -> int | None:
    """A whole number of any sign; None where it is not there."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value)) if not isinstance(value, bool | float) else Decimal("NaN")
        if number.adjusted() < _MAX_DIGITS and number == int(number):
            return int(number)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise invalid(f"{name}: is {shown(value)}; a whole number was expected")


def money(row: Mapping[str, Any], name: str) -> str | None:
    """Decimal text, rounded half to even to the 12 decimals of the contract; None: not there."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value)) if not isinstance(value, bool | float) else Decimal("NaN")
        if number.is_finite():
            return f"{number.quantize(PICO, context=_EXACT).normalize(_EXACT):f}"
    except InvalidOperation:
        pass
    raise invalid(f"{name}: is {shown(value)}; an amount in USD was expected")


def instant(row: Mapping[str, Any], name: str) -> datetime | None:
    """A time, UTC: ISO 8601 text (without a zone it is taken as UTC) or seconds since 1970."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str) and value.strip().isdigit():
            value = int(value)
        if isinstance(value, str):
            at = datetime.fromisoformat(value.strip())
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise invalid(f"{name}: is {shown(value)}; a time such as 2026-11-01T12:00:00Z was expected")


def latency_ms(started: datetime | None, ended: datetime | None) -> int | None:
    """Milliseconds between two times; None where one is not known, or a clock was set between."""
    if started is None or ended is None or ended < started:
        return None
    return (ended - started) // timedelta(milliseconds=1)


def mapping(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object, or JSON text of one; empty where it is not there."""
    value = parsed(row, name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid(f"{name}: is {shown(value)}; a JSON object was expected")
    return value


def parsed(row: Mapping[str, Any], name: str) -> Any:
    """What stands in a field that holds JSON: as it is, or from its text, as in CSV."""
    value = row.get(name)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return from_json(value)
    except (ValueError, RecursionError):
        raise invalid(f"{name}: is {shown(value)}; JSON was expected") from None


def from_json(value: str | bytes) -> Any:
    """JSON with its numbers as int and Decimal. Raises ValueError and RecursionError."""
    return json.loads(value, parse_float=Decimal)


def as_json(value: Any) -> str:
    """JSON of what `from_json` gave; what JSON does not have (decimals, times) as text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def at_path(row: Mapping[str, Any], path: str) -> Any:
    """What stands at a dotted path; objects on the way may be JSON text. None: not there.

    A key that has dots itself is found too.
    """
    if path in row:
        return row[path]
    first, _, rest = path.partition(".")
    if not rest or not isinstance(row.get(first), Mapping | str):
        return None
    return at_path(mapping(row, first), rest)


def provider_name(said: str | None, model: str) -> str:
    """Who bills, by the well-known names of OpenTelemetry.

    Where nothing says it, the model's name does: `bedrock/…`, or a model that only one provider
    sells under this name.
    """
    known = (said or "").lower()
    if not known and "/" in model:
        known = model.partition("/")[0].lower()
    if not known:
        known = _seller_of(model)
    return _MORE_PROVIDERS.get(known) or names.PROVIDERS.get(known, known)


@lru_cache(maxsize=10_000)
def _seller_of(model: str) -> str:
    found = ListPrices(get_snapshot().providers, "").find(None, model)
    return found[0] if found else UNKNOWN


def service_tier(said: str | None, tags: dict[str, str]) -> str | None:
    """The tier of the contract; one that it does not have is kept as a tag."""
    word = (said or "").lower()
    tier = _TIERS.get(word)
    if word and tier is None:
        tags["service_tier"] = word
    return tier


_TIERS = names.SERVICE_TIERS | {"priority_on_demand": "priority", "flex_discount": "flex"}


def invalid(detail: str) -> InvalidEvent:
    """A field that is not what it should be."""
    return InvalidEvent("invalid_field", detail)


def missing(what: str, detail: str) -> InvalidEvent:
    """Something that the event cannot be without: its code is `no_` and ``what``."""
    return InvalidEvent(f"no_{what}", detail)


def shown(value: Any) -> str:
    """A value as a reason quotes it: short, on one line."""
    said = value if isinstance(value, str) else as_json(value)
    return repr(" ".join(said.split())[:60])
