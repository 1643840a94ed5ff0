"""What a valid usage event is: the rules of the server, checked early and cheaply.

Types and enum symbols come from the Avro file. A contract test in the repository proves that the
server accepts what passes here, and refuses what is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from spendstream._avro import SCHEMA
from spendstream._fields import BUCKETS, PROMPT_BUCKETS

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
MAX_TEXT = 1024
MAX_LONG = 2**63 - 1
MAX_ATTEMPT = 2**31 - 1
MAX_TOKENS_PER_EVENT = 1_000_000_000
MAX_COST = 10**9
COST_DECIMALS = 12
MAX_EVENT_BYTES = 262_144
VOID_PREFIX = "void:"

_REQUIRED = ("event_id", "provider", "model", "team")


class InvalidUsage(ValueError):
    """A usage event that the server would refuse. The message is one line.

    ``code`` names the rule; ``field`` the field at fault, empty where none of the schema is.
    """

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


def check(event: Mapping[str, Any]) -> None:
    """Raise InvalidUsage with the first rule that the fields break. Fields are never None."""
    for name, value in event.items():
        check_value = _CHECKS.get(name)
        if check_value is None:
            raise InvalidUsage(
                "unknown_field", "", f"{name!r:.80} is no field of a usage event; use tags"
            )
        check_value(name, value)
    for name in _REQUIRED:
        if name not in event:
            raise InvalidUsage("missing_field", name, f"{name} is required{_WHERE.get(name, '')}")
        if not event[name].strip():
            raise InvalidUsage("blank_field", name, f"{name} is empty; give a name")
    _check_buckets(event)
    _check_prefix(event)
    _check_void(event)


def check_field(name: str, value: Any) -> None:
    """Raise InvalidUsage where the value of one field is wrong, whatever the others say."""
    _CHECKS[name](name, value)
    if name in _REQUIRED and not value.strip():
        raise InvalidUsage("blank_field", name, f"{name} is empty; give a name")


def check_size(value: bytes) -> None:
    """Raise InvalidUsage where an encoded event is larger than the server takes."""
    if len(value) > MAX_EVENT_BYTES:
        raise InvalidUsage(
            "event_too_large",
            "tags",
            f"the event has {len(value):,} bytes; at most {MAX_EVENT_BYTES:,}, and no prompt in it",
        )


_WHERE = {"team": ": pass team=, or set it in defaults= or in SPENDSTREAM_TEAM"}


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise InvalidUsage(
            "invalid_field", name, f"{name} must be text, not {type(value).__name__}"
        )
    if len(value) > MAX_TEXT:
        raise InvalidUsage(
            "invalid_field", name, f"{name} has {len(value)} characters; {MAX_TEXT} are allowed"
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidUsage("invalid_field", name, f"{name} is not valid Unicode") from None


def _whole(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidUsage(
            "invalid_field", name, f"{name} must be a whole number, not {type(value).__name__}"
        )
    if value < 0:
        code = "negative_tokens" if name in BUCKETS else "negative_value"
        raise InvalidUsage(code, name, f"{name} is below zero; leave it out where it is not known")
    if value > MAX_LONG:
        raise InvalidUsage("invalid_field", name, f"{name} does not fit into 64 bits")


def _attempt(name: str, value: Any) -> None:
    _whole(name, value)
    if not 1 <= value <= MAX_ATTEMPT:
        raise InvalidUsage("bad_attempt", name, f"{name} is {value}; the first attempt is 1")


def _boolean(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise InvalidUsage(
            "invalid_field", name, f"{name} must be True or False, not {type(value).__name__}"
        )


def _time(name: str, value: Any) -> None:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidUsage("invalid_field", name, f"{name} must be a datetime with a time zone")
    if not EARLIEST <= value < LATEST:
        raise InvalidUsage(
            "time_out_of_range",
            name,
            f"{name} is {value.isoformat()}; times from 2000 to 2099 are metered",
        )


def _tags(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise InvalidUsage(
            "invalid_field", name, f"{name} must be a mapping, not {type(value).__name__}"
        )
    for key, text in value.items():
        _text(name, key)
        _text(name, text)


def _cost(name: str, value: Any) -> None:
    _text(name, value)
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    sign, _, exponent = number.as_tuple()
    if not isinstance(exponent, int) or exponent < -COST_DECIMALS or sign or number >= MAX_COST:
        raise InvalidUsage(
            "bad_provider_cost",
            name,
            f"{name} is {value!r:.80}; USD as a Decimal or decimal text, not negative, "
            f"at most {COST_DECIMALS} decimals",
        )


def _one_of(symbols: tuple[str, ...]) -> Callable[[str, Any], None]:
    def check_symbol(name: str, value: Any) -> None:
        if not isinstance(value, str) or value not in symbols:
            raise InvalidUsage(
                "invalid_field", name, f"{name} is {value!r:.80}; it is one of {', '.join(symbols)}"
            )

    return check_symbol


def _check_buckets(event: Mapping[str, Any]) -> None:
    given = [name for name in BUCKETS if name in event]
    total = sum(event[name] for name in given)
    if total > MAX_TOKENS_PER_EVENT:
        raise InvalidUsage(
            "too_many_tokens",
            given[0],
            f"the buckets hold {total} tokens; one call may have {MAX_TOKENS_PER_EVENT}",
        )
    source = event.get("usage_source")
    if source is None:
        raise InvalidUsage("missing_field", "usage_source", "usage_source is required")
    if source == "missing" and given:
        raise InvalidUsage(
            "tokens_without_source",
            "usage_source",
            f"usage_source is missing, yet {given[0]} is set; say reported or estimated",
        )
    if source != "missing" and not given:
        raise InvalidUsage(
            "no_tokens",
            "usage_source",
            f"usage_source is {source}, yet no bucket is set; say missing where none is known",
        )
    said = event.get("total_tokens")
    if said is not None and said != total:
        raise InvalidUsage(
            "tokens_do_not_add_up",
            "total_tokens",
            f"the disjoint buckets add up to {total}, total_tokens says {said}",
        )


def _check_prefix(event: Mapping[str, Any]) -> None:
    prefix = event.get("prefix_tokens")
    if prefix is None:
        return
    # Where no bucket of the prompt is known, neither is what the prefix is a part of.
    prompt = [event[name] for name in PROMPT_BUCKETS if name in event]
    if prompt and prefix > sum(prompt):
        raise InvalidUsage(
            "prefix_too_long",
            "prefix_tokens",
            f"prefix_tokens is {prefix}, more than the prompt, which has {sum(prompt)}",
        )


def _check_void(event: Mapping[str, Any]) -> None:
    event_id, voids = event["event_id"], event.get("voids")
    if event.get("kind", "usage") == "usage":
        if voids is not None:
            raise InvalidUsage("bad_void", "voids", "voids is set, yet kind is usage")
        if event_id.startswith(VOID_PREFIX):
            raise InvalidUsage(
                "bad_void", "event_id", f"the event_id of usage may not start with {VOID_PREFIX}"
            )
    elif not voids or event_id != VOID_PREFIX + voids:
        raise InvalidUsage(
            "bad_void",
            "voids",
            f"a void names in voids the event it takes back, and has the event_id {VOID_PREFIX} "
            "and that id",
        )


def _check_for(avro_type: Any) -> Callable[[str, Any], None]:
    if isinstance(avro_type, list):
        return _check_for(next(branch for branch in avro_type if branch != "null"))
    if isinstance(avro_type, dict) and avro_type["type"] == "enum":
        return _one_of(tuple(avro_type["symbols"]))
    if isinstance(avro_type, dict):
        return _time if avro_type.get("logicalType") == "timestamp-micros" else _tags
    return {"string": _text, "long": _whole, "int": _whole, "boolean": _boolean}[avro_type]


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    field["name"]: _check_for(field["type"]) for field in SCHEMA["fields"]
} | {"attempt": _attempt, "provider_cost": _cost}

FIELD_NAMES = frozenset(_CHECKS)
"""Every field of the schema."""
