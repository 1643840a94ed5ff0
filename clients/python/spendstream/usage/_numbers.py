"""Reading numbers and texts out of decoded JSON that nobody has checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

MAX_TOKENS = 1_000_000_000
"""What one event may hold; more than that in one call is no count of tokens."""
_MAX_TEXT = 1024
_COST_STEP = Decimal("1E-12")
"""The event's finest cost. A float such as 0.000013574999999999999 has more decimals than money."""
_MAX_COST = 10**9
_MONEY = Context(prec=60)
"""Ours, as the caller's context may round or trap."""

NOTHING: Mapping[str, Any] = {}


class Unusable(ValueError):
    """Numbers that cannot all be true, or are none. Caught where the event is put together."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Disjoint buckets by direction; a direction whose count the body does not have is empty.

    ``total``: the provider's own, None where it gives none.
    """

    input: Mapping[str, int] = field(default_factory=dict)
    output: Mapping[str, int] = field(default_factory=dict)
    total: int | None = None


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    # A dict is what it nearly always is; asking the abstract class takes ten times as long.
    return value if isinstance(value, dict | Mapping) else NOTHING


def part(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside one with counts; empty where it is not there. Raises Unusable."""
    value = source.get(name)
    if value is None:
        return NOTHING
    if not isinstance(value, Mapping):
        raise Unusable(f"{name} is no object")
    return value


def count(source: Mapping[str, Any], *names: str) -> int | None:
    """The count under the first of the names that is there; None where none is. Raises Unusable.

    A whole number as a float (12.0) counts: gateways and Cohere send such. Nothing else does.
    """
    for name in names:
        value = source.get(name)
        if value is not None:
            return _whole(name, value)
    return None


def _whole(name: str, value: object) -> int:
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if number is None or not 0 <= number <= MAX_TOKENS:
        raise Unusable(f"{name} is no count of tokens")
    return number


def less(total: int, *parts: int | None) -> int:
    """The total without its parts. Raises Unusable where the parts are more than the total."""
    left = total - sum(known for known in parts if known is not None)
    if left < 0:
        raise Unusable("the parts are more than their sum")
    return left


def known(**buckets: int | None) -> dict[str, int]:
    """The buckets whose count is known."""
    return {name: tokens for name, tokens in buckets.items() if tokens is not None}


def text(value: object) -> str | None:
    """The text where the event can carry it: not blank, not too long, valid Unicode."""
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def cost(value: object, per_usd: int = 1) -> str | None:
    """USD as decimal text, rounded to 12 decimals; None where the value is no cost.

    ``per_usd``: units of the value per dollar. A float is read by its shortest decimal text, which
    is what the provider wrote.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, Decimal) and not value.is_finite():
        return None
    if not 0 <= value < _MAX_COST * per_usd:
        return None
    number = Decimal(repr(value) if isinstance(value, float) else value)
    usd = _MONEY.quantize(_MONEY.divide(number, Decimal(per_usd)), _COST_STEP)
    return format(_MONEY.normalize(usd), "f")
