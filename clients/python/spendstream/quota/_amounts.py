"""A limit in a sentence: `$1,500`, `48.2 M tokens`. As the server words it (`sinks.amounts`)."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, Decimal, localcontext

_MONEY = re.compile(r"([A-Z]{3})( .+)?", re.DOTALL)
_SYMBOL = {"USD": "$", "EUR": "€", "GBP": "£", "HKD": "HK$"}
_NO_MINOR_UNIT = {"JPY", "KRW", "VND"}
_SMALLEST = Decimal("1e-12")
"""The scale of all money of the ledger."""
_LARGE = ((Decimal("1e9"), " B"), (Decimal("1e6"), " M"))


def limit_text(amount: Decimal, unit: str) -> str:
    """A limit, above 0, in its unit: a currency (ISO 4217), `tokens` or `calls`."""
    if (money := _MONEY.fullmatch(unit)) is None:
        return f"{_number(amount)} {unit}"
    symbol, rest = _SYMBOL.get(money[1], f"{money[1]} "), money[2] or ""
    if amount < _SMALLEST:
        return f"under {symbol}{_SMALLEST:f}{rest}"
    if amount >= 1:
        whole = amount == int(amount) or money[1] in _NO_MINOR_UNIT
        return f"{symbol}{amount:,.{0 if whole else 2}f}{rest}"
    units, cents = _three_digits(amount).split(".")
    return f"{symbol}{units}.{cents.rstrip('0').ljust(2, '0')}{rest}"


def _number(amount: Decimal) -> str:
    """Large ones are cut, not rounded: what is short of a limit must not read as the limit."""
    if amount < _SMALLEST:
        return f"under {_SMALLEST:f}"
    for scale, name in _LARGE:
        if amount >= scale:
            with localcontext(prec=80):
                amount /= scale
                step = Decimal(1).scaleb(min(0, amount.adjusted() - 2))
                return f"{_trimmed(f'{amount.quantize(step, ROUND_DOWN):,f}')}{name}"
    return _trimmed(f"{amount:,.3f}" if amount >= 1 else _three_digits(amount))


def _three_digits(amount: Decimal) -> str:
    return f"{amount:.{2 - amount.adjusted()}f}"


def _trimmed(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
