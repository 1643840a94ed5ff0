"""The values in a budgets file: what each may be, and what to write instead where it is not."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args
from zoneinfo import available_timezones

from pydantic import BeforeValidator

from schemas.usage import MAX_TEXT
from streams.budgets.currencies import CURRENCIES
from streams.budgets.periods import Kind, Rolling
from streams.file_model import known_or_nearest, mistake, nearest, wrong

Dimension = Literal[
    "department",
    "team",
    "project",
    "use_case",
    "application",
    "environment",
    "user",
    "customer",
    "model",
    "provider",
]
"""What a budget can be for, named as in the usage events and the columns of `spend`."""
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

Tier = Literal["cost-optimised", "balanced", "frontier"]
"""Model tiers, from the cheapest on."""
TIERS: tuple[Tier, ...] = get_args(Tier)

COUNTS = ("tokens", "calls")
"""Units that are no money: counted, in whole numbers."""

MOST_PERCENT = 1000
LONGEST = timedelta(days=366)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise wrong(value, "write a name")
    if len(value.encode()) > MAX_TEXT:
        raise wrong(value, f"a name has at most {MAX_TEXT} bytes")
    return value


def _names(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise mistake("is an empty list; write a name or a list of names")
    for index, item in enumerate(items):
        if not isinstance(item, str) or not item.strip():
            raise wrong(item, "write a name or a list of names")
        if item in items[:index]:
            raise mistake(f"{item!r} is there twice; name it once")
    return tuple(items)


def _dimension(value: Any) -> Any:
    if value not in DIMENSIONS:
        near = known_or_nearest(str(value), DIMENSIONS)
        raise wrong(value, f"spend has no such dimension; {near}")
    return value


def _dimensions(value: Any) -> Any:
    items = value if isinstance(value, list | tuple) else [value]
    for index, item in enumerate(items):
        _dimension(item)
        if item in items[:index]:
            raise mistake(f"{item!r} is there twice; name it once")
    return tuple(items)


def _scope(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong(value, "write names by dimension, such as {team: search}")
    for key in value:
        if key not in DIMENSIONS:
            near = known_or_nearest(str(key), DIMENSIONS)
            raise mistake(f"spend has no such dimension; {near}", key)
    return value


def _decimal(value: Any, right: str) -> Decimal:
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        value = f"{Decimal(value):f}"
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,15}(\.\d{1,12})?", value):
        raise wrong(value, right)
    if not Decimal(value):
        raise wrong(value, "it is more than 0")
    return Decimal(value)


def _amount(value: Any) -> Decimal:
    return _decimal(value, "write a plain decimal number above 0, such as 1500.00")


def _rate(value: Any) -> Decimal:
    return _decimal(value, "a rate is a plain decimal number above 0: units for one USD, as in 7.8")


def _percent(value: Any) -> int:
    number = int(value) if re.fullmatch(r"\d{1,9}", str(value)) else 0
    if isinstance(value, bool) or not 1 <= number <= MOST_PERCENT:
        raise wrong(value, f"write a whole percentage from 1 to {MOST_PERCENT}, such as 80")
    return number


def _currency(value: Any) -> str:
    if value not in CURRENCIES:
        raise wrong(value, f"write an ISO 4217 code such as HKD{_near_currency(value)}")
    return str(value)


def _unit(value: Any) -> str:
    if value not in CURRENCIES and value not in COUNTS:
        close = nearest(str(value), COUNTS)
        near = f"; did you mean {close}?" if close else _near_currency(value)
        raise wrong(value, f"write an ISO 4217 code such as HKD, tokens or calls{near}")
    return str(value)


def _near_currency(value: Any) -> str:
    # Three letters are too few for nearness: the country must be right, or only the order wrong.
    word = str(value).upper()
    alike = [code for code in CURRENCIES if sorted(code) == sorted(word)]
    close = nearest(word, [code for code in CURRENCIES if code[:2] == word[:2]] or alike)
    return f"; did you mean {close or alike[0]}?" if close or alike else ""


def _zone(value: Any) -> str:
    if value not in _zones():
        close = _near_zone(str(value))
        near = f"did you mean {close}?" if close else "write one such as Asia/Hong_Kong"
        raise wrong(value, f"it is no IANA time zone; {near}")
    return str(value)


def _near_zone(word: str) -> str | None:
    """By the whole name, else by the city, wherever it stands."""
    names = sorted((name for name in _zones() if "/" in name), reverse=True)
    cities = {name.rpartition("/")[2]: name for name in names}
    city = next((near for part in word.split("/") if (near := nearest(part, cities))), None)
    return nearest(word, names) or (cities[city] if city else None)


@lru_cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _fiscal_start(value: Any) -> Any:
    if isinstance(value, tuple):
        value = "-".join(f"{part:02}" for part in value)
    found = re.fullmatch(r"(\d\d)-(\d\d)", value) if isinstance(value, str) else None
    month, day = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (1 <= month <= 12 and 1 <= day <= 28):
        raise wrong(value, "write month and day, the day from 01 to 28, such as 04-01")
    return month, day


def _period(value: Any) -> Any:
    if isinstance(value, Rolling) or value in get_args(Kind):
        return value
    kinds = "write day, week, month, quarter, year or a window such as {rolling: 24h}"
    if not isinstance(value, dict):
        raise wrong(value, kinds)
    if list(value) != ["rolling"]:
        raise mistake(f"has the keys {', '.join(map(str, value))}; {kinds}")
    found = re.fullmatch(r"(\d{1,6})([mhd])", str(value["rolling"]))
    length = int(found[1]) * _UNITS[found[2]] if found else timedelta()
    if not timedelta() < length <= LONGEST:
        raise mistake(
            f"is {value['rolling']!r}; write minutes, hours or days, such as 90m, 24h or 7d, "
            f"at most {LONGEST.days}d",
            "rolling",
        )
    return Rolling(length)


def _day(value: Any) -> date:
    if isinstance(value, date):
        return value
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise wrong(value, "write the day from which the rate holds, such as 2026-01-01")


def _rates_of(value: Any) -> Any:
    if not isinstance(value, dict) or not value:
        raise wrong(value, "write each rate with its first day, such as {2026-01-01: 7.78}")
    return value


Name = Annotated[str, BeforeValidator(_name)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Dimensions = Annotated[tuple[Dimension, ...], BeforeValidator(_dimensions)]
Scope = Annotated[dict[Dimension, Names], BeforeValidator(_scope)]
Amount = Annotated[Decimal, BeforeValidator(_amount)]
Percent = Annotated[int, BeforeValidator(_percent)]
Currency = Annotated[str, BeforeValidator(_currency)]
Unit = Annotated[str, BeforeValidator(_unit)]
Zone = Annotated[str, BeforeValidator(_zone)]
FiscalStart = Annotated[tuple[int, int], BeforeValidator(_fiscal_start)]
Day = Annotated[date, BeforeValidator(_day)]
Rate = Annotated[Decimal, BeforeValidator(_rate)]
DatedRates = Annotated[dict[Day, Rate], BeforeValidator(_rates_of)]
BudgetPeriod = Annotated[Kind | Rolling, BeforeValidator(_period)]
