"""Amounts and durations as a reader sees them: `HK$1,234.50`, `48.2 M tokens`, `2 h 5 min`."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal, localcontext

_MONEY = re.compile(r"([A-Z]{3})( .+)?", re.DOTALL)
_SYMBOL = {"USD": "$", "EUR": "€", "GBP": "£", "HKD": "HK$"}
_NO_MINOR_UNIT = {"JPY", "KRW", "VND"}
_SMALLEST = Decimal("1e-12")  # the scale of all money here, so never a row of zeros
_LARGE = ((Decimal("1e9"), " B"), (Decimal("1e6"), " M"))
_CELLS = 10


def is_money(unit: str) -> bool:
    """True where the unit begins with a currency (ISO 4217): `HKD`, `USD an hour`."""
    return _MONEY.fullmatch(unit) is not None


def amount_text(amount: Decimal, unit: str) -> str:
    """An amount with its unit: `$1,234.50`, `CHF 12.00`, `$3.10 an hour`, `1,234 calls`.

    Money has two decimals from 1 upwards and three significant digits below, so that no positive
    amount reads as zero. Half goes to even.
    """
    if (money := _MONEY.fullmatch(unit)) is None:
        return f"{number_text(amount)} {unit}"
    code, rest = money[1], money[2] or ""
    symbol = _SYMBOL.get(code, f"{code} ")
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if 0 < size < _SMALLEST:
        return f"{sign}under {symbol}{_SMALLEST:f}{rest}"
    if size == 0 or size >= 1:
        decimals = 0 if code in _NO_MINOR_UNIT else 2
        return f"{sign}{symbol}{size:,.{decimals}f}{rest}"
    whole, decimal = _three_digits(size).split(".")
    return f"{sign}{symbol}{whole}.{decimal.rstrip('0').ljust(2, '0')}{rest}"


def limit_text(amount: Decimal, unit: str) -> str:
    """A limit, which mostly is a whole number, without its zero cents: `$1,500`."""
    text = amount_text(amount, unit)
    return re.sub(r"\.00(?!\d)", "", text, count=1) if amount == int(amount) else text


def number_text(number: Decimal | int) -> str:
    """A number that is no money: `1,234`, `12.5`, and from a million on `48.2 M`, `1.23 B`.

    Large ones are cut, not rounded: what is short of a limit must not read as the limit.
    """
    number = Decimal(number)
    sign, size = ("-" if number < 0 else ""), abs(number)
    if 0 < size < _SMALLEST:
        return f"{sign}under {_SMALLEST:f}"
    for scale, name in _LARGE:
        if size >= scale:
            with localcontext(prec=80):
                size /= scale
                step = Decimal(1).scaleb(min(0, size.adjusted() - 2))
                return f"{sign}{_trimmed(f'{size.quantize(step, ROUND_DOWN):,f}')}{name}"
    return sign + _trimmed(f"{size:,.3f}" if size == 0 or size >= 1 else _three_digits(size))


def percent(value: Decimal, limit: Decimal) -> str | None:
    """The share of a limit: `81 %`, `under 1 %`; None where it would mean nothing.

    Cut, not rounded: a budget is at 100 % when it is used up, and not a cent before.
    """
    share = _share(value, limit)
    if share is None:
        return None
    return "under 1 %" if 0 < share < 1 else f"{int(share):,} %"


def bar(value: Decimal, limit: Decimal) -> str | None:
    """The share as ten cells, `▓▓▓▓▓▓▓▓░░`; they are full when the limit is reached."""
    share = _share(value, limit)
    if share is None:
        return None
    full = min(int(share // _CELLS), _CELLS)
    return "▓" * full + "░" * (_CELLS - full)


def duration_text(duration: timedelta) -> str:
    """`41 min`, `3 h 12 min`, `2 days 4 h`, and from three days on `11 days`; cut."""
    minutes = int(duration.total_seconds()) // 60
    if minutes < 1:
        return "under a minute"
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    parts = [f"{hours} h"] * (hours > 0)
    if days:
        return " ".join([f"{days} day" + "s" * (days > 1), *(parts if days < 3 else [])])
    return " ".join(parts + [f"{rest} min"] * (rest > 0))


def _share(value: Decimal, limit: Decimal) -> Decimal | None:
    if value < 0 or limit <= 0:
        return None
    # The default 28 digits would round the 38 of the ledger up.
    with localcontext(prec=80):
        return value * 100 / limit


def _three_digits(size: Decimal) -> str:
    return f"{size:.{2 - size.adjusted()}f}"


def _trimmed(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
