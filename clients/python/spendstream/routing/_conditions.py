"""When a rule holds: conditions on the attribution and on numbers of the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from spendstream.routing._document import Item
from spendstream.routing._features import Counts
from spendstream.routing._tiers import Asked, Tiers

ATTRIBUTION = (
    *("department", "team", "project", "use_case", "application", "environment", "user"),
    *("customer", "workflow"),
)
_NUMBERS = ("prompt_characters", "messages", "tools", "images", "max_output_tokens")
_SWITCHES = ("tools", "images", "structured_output")
_BELOW, _AT_LEAST = "_below", "_at_least"

KEYS = (
    *ATTRIBUTION,
    *(f"{name}{end}" for name in _NUMBERS for end in (_BELOW, _AT_LEAST)),
    *_SWITCHES,
    "requested_tier",
    "requested_model",
)
"""What `when` may hold."""


class Call(NamedTuple):
    """What the conditions look at."""

    attribution: Mapping[str, Any]
    counts: Counts
    asked: Asked


class Condition(NamedTuple):
    """One condition: whether it holds of a call, and how the reason of a choice writes it."""

    holds: Callable[[Call], bool]
    said: str


def conditions(item: Item, tiers: Tiers) -> tuple[Condition, ...]:
    """The conditions of a `when`; a call must meet all of them. Raises RoutingFileError."""
    return tuple(_condition(key, value, tiers) for key, value in item.keys(KEYS).items())


def _condition(key: str, item: Item, tiers: Tiers) -> Condition:
    if key in ATTRIBUTION:
        names = _names(item)
        return Condition(lambda call: call.attribution.get(key) in names, _said(key, names))
    if key == "requested_tier":
        names = tuple(entry.one_of(tiers.names) for entry in item.items())
        return Condition(lambda call: call.asked.tier in names, _said(key, names))
    if key == "requested_model":
        for entry in item.items():
            asked = tiers.asked(entry.text())
            if asked is None or asked.model is None:
                entry.fail(f"{entry.text()!r} is a model of no tier of this file; add it there")
        names = _names(item)
        return Condition(lambda call: call.asked.model in names, _said(key, names))
    if key in _SWITCHES:
        wanted = item.truth()
        return Condition(
            lambda call: bool(getattr(call.counts, key)) is wanted,
            f"{key} {'yes' if wanted else 'no'}",
        )
    limit = item.count()
    if key.endswith(_BELOW):
        return _number(key.removesuffix(_BELOW), lambda n: n < limit, f"below {limit:,}")
    return _number(key.removesuffix(_AT_LEAST), lambda n: n >= limit, f"at least {limit:,}")


def _number(name: str, fits: Callable[[int], bool], said: str) -> Condition:
    def holds(call: Call) -> bool:
        number = getattr(call.counts, name)
        return number is not None and fits(number)  # not said is neither below nor above

    return Condition(holds, f"{name} {said}")


def _names(item: Item) -> tuple[str, ...]:
    return tuple(entry.text() for entry in item.items())


def _said(key: str, names: tuple[str, ...]) -> str:
    return f"{key} {' or '.join(names)}"
