"""Amounts of money by day and attribution, and the rows of the ledger that they become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from schemas.journal import DIMENSIONS, ROW_SCHEMA, TRUE_UP
from schemas.tokens import BUCKET_NAMES
from streams.guard.money import pico, usd

PARTITION = 0
"""Of every true-up: no partition of the usage has its events, and the ledger's rows need one."""
AT = time(12, tzinfo=UTC)
"""When in the day: noon UTC is the same day in the time zones from −12:00 to +11:59."""
MOST_ROWS = 2_000
"""Of one entry of the journal, some 100 KB. Fixed: the parts of a true-up have ids of their own."""

_OWN = {"kind", "usage_source", "rating", "price_ref", "is_retry", "is_shadow"}
_GIVEN = tuple(name for name in DIMENSIONS if name not in _OWN)


@dataclass(frozen=True, slots=True)
class Amount:
    """USD of one day (UTC); negative where less is owed than was counted.

    ``attribution``: names of `schemas.journal.DIMENSIONS` and what they are; `team`, `provider` and
    `model` must be there. Raises ValueError for other names, and for more than twelve decimals.
    """

    day: date
    usd: Decimal
    attribution: Mapping[str, Any]

    def __post_init__(self) -> None:
        if unknown := self.attribution.keys() - set(_GIVEN):
            raise ValueError(f"no attribution of a true-up: {', '.join(sorted(unknown))}")
        for name in ("team", "provider", "model"):
            if not self.attribution.get(name):
                raise ValueError(f"a true-up needs a {name}")
        if usd(pico(self.usd)) != self.usd:
            raise ValueError(f"{self.usd} USD has more than twelve decimals")


@dataclass(frozen=True, slots=True)
class TrueUp:
    """Amounts that count together, once per ``adjustment_id``.

    ``price_ref`` says what they follow from, such as `invoice openai 2026-11`; ``note`` who made
    them and why, for the reader of the ledger. The id has to follow from what is trued up and from
    what was before, so that whoever works out the same appends the same.
    """

    adjustment_id: str
    price_ref: str
    note: str
    amounts: tuple[Amount, ...]

    @property
    def total(self) -> Decimal:
        """USD of all of it."""
        return usd(sum(pico(amount.usd) for amount in self.amounts))

    def parts(self) -> Iterator[tuple[str, pa.Table]]:
        """Ids and rows of its entries: one, or several where it has many rows.

        Amounts of nothing have no row.
        """
        rows = [self._row(amount) for amount in self.amounts if amount.usd]
        chunks = [rows[at : at + MOST_ROWS] for at in range(0, len(rows), MOST_ROWS)]
        for number, chunk in enumerate(chunks):
            name = self.adjustment_id if len(chunks) == 1 else f"{self.adjustment_id}.{number}"
            yield name, _table(chunk)

    def _row(self, amount: Amount) -> dict[str, Any]:
        return {
            **amount.attribution,
            "partition": PARTITION,
            "minute": datetime.combine(amount.day, AT),
            "kind": TRUE_UP,
            "usage_source": "reported",  # somebody says it; there are no tokens to estimate
            "rating": "priced",
            "price_ref": self.price_ref,
            "is_retry": False,
            "is_shadow": False,
            "calls": 0,
            **dict.fromkeys(BUCKET_NAMES, 0),
            "cost": amount.usd,
        }


def _table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=ROW_SCHEMA)
