"""What the detectors say of what they found: the parts of an alert that a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from schemas.alerts import Contributor
from sinks.amounts import amount_text
from streams.guard.money import usd

ORGANISATION = {"organisation": "all"}
"""The scope of what is about everybody."""
TOP = 5
NOTHING_TO_DO = "Nothing to do."


@dataclass(frozen=True, slots=True)
class Report:
    """Title, figures and advice of one alert; ``value`` and ``limit`` are in ``unit``."""

    title: str
    detail: str
    action: str
    value: Decimal | None
    limit: Decimal | None
    unit: str
    contributors: tuple[Contributor, ...] = ()
    trend: tuple[Decimal, ...] = ()


def contributor(name: str, calls: int, cost: int) -> Contributor:
    """One contributor; ``cost`` in pico-dollars. Sums do not tell what is free from what has no
    known cost, so nothing is said to have cost nothing."""
    return Contributor(name=name, calls=calls, cost=usd(cost) if cost else None)


def largest(parts: Iterable[Contributor]) -> tuple[Contributor, ...]:
    """The largest contributors, by cost and then by calls."""
    ranked = sorted(parts, key=lambda one: (-(one.cost or 0), -one.calls, one.name))
    return tuple(ranked[:TOP])


def short(name: str | bool | None, limit: int = 30) -> str:
    """A name for a title: on one line, and cut."""
    text = " ".join(str(name).split()) or "(no name)"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def money(amount: int) -> str:
    """Pico-dollars for a reader: `$12.50`."""
    return amount_text(usd(amount), "USD")


def since(moment: datetime) -> str:
    """`since 14:03 UTC`."""
    return f"since {moment:%H:%M} UTC"


def counted(calls: int) -> str:
    """`1 call`, `2,412 calls`."""
    return f"{calls:,} call" if calls == 1 else f"{calls:,} calls"


def times(value: int, norm: int) -> str:
    """How many times the norm a value is: `5.2`."""
    return f"{Decimal(value * 10 // norm).scaleb(-1):,f}"
