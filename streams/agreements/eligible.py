"""What an agreement covers, from the ledger: a month of spend, by day, attribution and model.

True-ups are left out, an agreement's own and those of invoices: terms are about what the price list
makes of the usage. So are calls that a cache answered, which no provider billed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from schemas.journal import TRUE_UP
from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from streams.agreements.book import Agreement
from streams.agreements.terms import Eligible
from streams.guard.money import pico

ATTRIBUTION = (
    "department",
    "team",
    "project",
    "use_case",
    "application",
    "environment",
    "customer",
    "provider",
    "model",
)
"""Whom a rebate goes to. No users: there are many, and their budgets are about their own use."""

_MONTH = (
    "minute >= toDateTime({first:String}, 'UTC') "
    "AND minute < toDateTime({first:String}, 'UTC') + INTERVAL 1 MONTH"
)
_BY = ", ".join(f"spend.`{name}`" for name in ATTRIBUTION)
_TOKENS = " + ".join(f"spend.{name}" for name in BUCKET_NAMES)
_SPENT = f"""
SELECT toDate(minute) AS day, {_BY},
       sumIf(spend.cost, rating = 'priced'), sumIf({_TOKENS}, rating = 'priced'),
       sumIf(spend.calls, rating != 'priced')
FROM spend
WHERE {_MONTH} AND lowerUTF8(spend.provider) = {{provider:String}} AND kind != '{TRUE_UP}'
  AND NOT ifNull(served_from_cache, false)
GROUP BY ALL ORDER BY ALL
"""
_APPLIED = f"""
SELECT toDate(minute) AS day, {_BY}, sum(spend.cost)
FROM spend
WHERE {_MONTH} AND kind = '{TRUE_UP}' AND price_ref = {{reference:String}}
GROUP BY ALL ORDER BY ALL
"""
_REFERENCES = f"""
SELECT DISTINCT assumeNotNull(price_ref) FROM spend
WHERE {_MONTH} AND kind = '{TRUE_UP}' AND startsWith(assumeNotNull(price_ref), 'agreement ')
ORDER BY ALL
"""

_MODEL = 1 + ATTRIBUTION.index("model")

Attribution = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A day (UTC) and who spent on what: values of `ATTRIBUTION`, in its order."""

    day: date
    attribution: Attribution

    @property
    def named(self) -> dict[str, str]:
        """The attribution by name, without what is not known."""
        pairs = zip(ATTRIBUTION, self.attribution, strict=True)
        return {name: value for name, value in pairs if value is not None}


@dataclass(frozen=True, slots=True)
class Spent:
    """The priced spend of a month that an agreement covers, pico-dollars and tokens, by place.

    ``unknown``: calls of it whose cost is not known, and so in no figure.
    """

    places: dict[Place, int]
    tokens: int
    unknown: int

    @property
    def eligible(self) -> Eligible:
        """In all."""
        return Eligible(sum(self.places.values()), self.tokens)


def reference(agreement: str, month: date) -> str:
    """The price reference of its true-ups: `agreement anthropic-2026 2026-11`."""
    return f"agreement {agreement} {month:%Y-%m}"


def read_spent(clickhouse: ClickHouse, agreement: Agreement, month: date) -> Spent:
    """The month that begins on that day. Raises ClickHouseError."""
    rows = clickhouse.query(_SPENT, {"first": _start(month), "provider": agreement.provider})
    covered = [(_place(row), row) for row in rows if agreement.covers(str(row[_MODEL]))]
    return Spent(
        {place: pico(row[-3]) for place, row in covered},
        sum(int(row[-2]) for _, row in covered),
        sum(int(row[-1]) for _, row in covered),
    )


def read_applied(clickhouse: ClickHouse, agreement: str, month: date) -> dict[Place, int]:
    """What the ledger was trued up by for it so far, pico-dollars. Raises ClickHouseError."""
    asked = {"first": _start(month), "reference": reference(agreement, month)}
    return {_place(row): pico(row[-1]) for row in clickhouse.query(_APPLIED, asked)}


def names_applied(clickhouse: ClickHouse, month: date) -> list[str]:
    """Agreements that the month was trued up for, whether a file has them or not."""
    rows = clickhouse.query(_REFERENCES, {"first": _start(month)})
    ending = f" {month:%Y-%m}"
    references: Iterable[str] = (str(row[0]) for row in rows)
    return [
        one.removeprefix("agreement ").removesuffix(ending)
        for one in references
        if one.endswith(ending)
    ]


def _place(row: Sequence[Any]) -> Place:
    return Place(row[0], tuple(row[1 : 1 + len(ATTRIBUTION)]))


def _start(month: date) -> str:
    return f"{month} 00:00:00"
