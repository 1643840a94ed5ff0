"""A figure, and a table of figures: the value, what it means, and the SQL that gives it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

Kind = Literal[
    "money", "usd", "amount", "count", "number", "share", "change", "text", "day", "month", "moment"
]
"""How it is shown. ``money`` is in the lens's currency, ``usd`` in USD whatever that is, and the
unit of an ``amount`` stands in its row's column `unit`. ``share`` is 0 to 1, ``change`` one with
its sign, ``moment`` a time in UTC."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How a figure is asked: ``sql`` is an expression over a view. ``unit`` in the plural."""

    name: str
    title: str
    kind: Kind
    sql: str
    definition: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One value; None: not known. ``unit`` is the currency where it is money."""

    name: str
    title: str
    kind: Kind
    value: Any
    unit: str
    definition: str
    sql: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; ``key``: it names what a row is about."""

    name: str
    title: str
    kind: Kind
    unit: str = ""
    key: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as ``sql`` gives them, in its order. ``of``: how many there are where ``rows`` are only
    the first of them; None: these are all."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    definition: str
    sql: str
    of: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of its columns."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> list[Any]:
        """The values of one column, from the first row to the last."""
        index = [column.name for column in self.columns].index(name)
        return [row[index] for row in self.rows]

    def records(self) -> list[dict[str, Any]]:
        """The rows by the names of their columns."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


def exact_text(value: Any) -> str:
    """A value in full, as `spendstream sql` prints it but for null, which is empty."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        digits = f"{value:f}"
        return (digits.rstrip("0").rstrip(".") or "0") if "." in digits else digits
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
