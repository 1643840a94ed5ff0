"""Values as a reader of the page sees them; the exact ones stand beside them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from reports.figures.currency import Rates
from reports.figures.figure import Column, Figure, exact_text
from sinks.amounts import amount_text, is_money, number_text

NOTHING = "–"
_LONG = Decimal(1_000_000)
_ROUND = 100  # from here on a mean has no decimals
_DAYS = 5  # named one by one
_WHOLE = Decimal(10_000)
"""From here on cents would only be in the way."""


def shown(kind: str, value: Any, unit: str = "") -> str:
    """A value of a kind: `$12,345`, `48.2 M`, `12.3 %`; – where it is not known."""
    if value is None:
        return NOTHING
    match kind:
        case "money" | "usd":
            return money(Decimal(value), unit)
        case "amount":
            return amount(Decimal(value), unit)
        case "share":
            return share(Decimal(value))
        case "change":
            return f"{Decimal(value) * 100:+,.1f} %"
        case "count":
            return f"{value:,}" if abs(value) < _LONG else number_text(Decimal(value))
        case "number":
            number = Decimal(value)
            return number_text(number.quantize(Decimal(1)) if abs(number) >= _ROUND else number)
        case "day":
            return value.isoformat() if isinstance(value, date) else str(value)
        case "month":
            return f"{value:%Y-%m}" if isinstance(value, date) else str(value)
        case "moment":
            return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)
        case _:
            return str(value)


def money(amount: Decimal, currency: str) -> str:
    """An amount of money, short: `$0.0123`, `$12.30`, `$12,345`, `$1.23 M`."""
    if abs(amount) >= _LONG:
        symbol = amount_text(Decimal(1), currency)[: -len("1.00")]
        return f"{'-' if amount < 0 else ''}{symbol}{number_text(abs(amount))}"
    if abs(amount) >= _WHOLE:
        return amount_text(amount.quantize(Decimal(1)), currency).removesuffix(".00")
    return amount_text(amount, currency)


def amount(value: Decimal, unit: str) -> str:
    """An amount of anything: money short, else a number with its unit."""
    return money(value, unit) if is_money(unit) else f"{number_text(value)} {unit}"


def rates_words(rates: Rates | None) -> str:
    """At what rates amounts were converted, in a sentence; empty where they were not."""
    if rates is None:
        return ""
    if rates.lowest is None or rates.highest is None:
        return f"There is no exchange rate for {rates.currency} in this period, so no amount."
    spread = exact_text(rates.lowest)
    if rates.highest != rates.lowest:
        spread = f"{spread} to {exact_text(rates.highest)}"
    words = f"In {rates.currency}, each day at its rate: {spread} for a US dollar."
    if not rates.missing:
        return words
    days = ", ".join(map(str, rates.missing[:_DAYS])) + (" …" if rates.missing[_DAYS:] else "")
    return f"{words} Not in the amounts, as there is no rate: {days}."


def share(value: Decimal) -> str:
    """A share in percent; what is there at all never reads as nothing, or as all."""
    percent = value * 100
    if 0 < percent < Decimal("0.05"):
        return "under 0.1 %"
    if Decimal("99.95") <= percent < 100:
        return "over 99.9 %"
    return f"{percent:.1f} %"


def title_of(one: Figure | Column, value: Any) -> str:
    """The value in full with its unit, for who points at it."""
    if value is None:
        return "not known"
    if one.kind in {"text", "day", "month"}:
        return ""
    unit = {"share": "of 1", "change": "of 1", "moment": "UTC"}.get(one.kind, one.unit)
    return f"{exact_text(value)} {unit}".strip()
