"""Lines of invoices in ClickHouse: the newest version of each counts."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from sinks.clickhouse import ClickHouse, arrow_table
from sinks.id_groups import id_groups

_MONEY = pa.decimal128(38, 12)
_CHARGES = pa.schema(
    [
        ("provider", pa.string()),
        ("line_id", pa.string()),
        ("format", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("day", pa.date32()),
        ("last_day", pa.date32()),
        ("zone", pa.string()),
        ("account", pa.string()),
        ("model", pa.string()),
        ("sku", pa.string()),
        ("charge", pa.string()),
        ("token_class", pa.string()),
        ("tokens", pa.int64()),
        ("amount_said", pa.string()),
        ("amount", _MONEY),
        ("currency", pa.string()),
        ("units_per_usd", _MONEY),
        ("usd", _MONEY),
        ("removed", pa.bool_()),
        ("version", pa.uint64()),
        ("imported_at", pa.timestamp("ms", "UTC")),
    ]
)
_NAMES = tuple(_CHARGES.names)
_COMPARED = (
    "model",
    "charge",
    "token_class",
    "tokens",
    "amount_said",
    "currency",
    "usd",
    "removed",
)
_KNOWN = f"""
    SELECT line_id, {", ".join(_COMPARED)} FROM invoice_charges FINAL
    WHERE provider = {{provider:String}} AND line_id IN {{ids:Array(String)}}
"""
_ELSEWHERE = """
    SELECT line_id FROM invoice_charges FINAL
    WHERE provider = {provider:String} AND format = {format:String} AND NOT removed
      AND account IN {accounts:Array(String)} AND day BETWEEN {first:Date} AND {last:Date}
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """One row of `invoice_charges`; its columns say what the fields are."""

    provider: str
    line_id: str
    format: str
    file: str
    line: int
    day: date
    last_day: date
    zone: str
    account: str
    model: str | None
    sku: str
    charge: str
    token_class: str | None
    tokens: int | None
    amount_said: str
    amount: Decimal
    currency: str
    units_per_usd: Decimal | None
    usd: Decimal
    removed: bool = False

    @property
    def compared(self) -> tuple[Any, ...]:
        """What a version has that counts: where it is as known, nothing is written."""
        return tuple(getattr(self, name) for name in _COMPARED)


class Invoices:
    """The table `invoice_charges`, for one provider."""

    def __init__(self, clickhouse: ClickHouse, provider: str) -> None:
        self._clickhouse = clickhouse
        self._provider = provider

    def known(self, ids: Collection[str]) -> dict[str, tuple[Any, ...]]:
        """Of these lines those that are there, each with what `Charge.compared` gives."""
        found: dict[str, tuple[Any, ...]] = {}
        for some in id_groups(ids):
            rows = self._clickhouse.query(_KNOWN, {"provider": self._provider, "ids": some})
            found |= {str(line_id): tuple(rest) for line_id, *rest in rows}
        return found

    def write(self, charges: Sequence[Charge]) -> None:
        """Write lines; each replaces its earlier version."""
        if not charges:
            return
        at, version = datetime.now(UTC), time.time_ns()
        rows: Iterable[Mapping[str, Any]] = (
            {name: getattr(charge, name, None) for name in _NAMES}
            | {"version": version, "imported_at": at}
            for charge in charges
        )
        self._clickhouse.insert("invoice_charges", arrow_table(_CHARGES, list(rows)))

    def elsewhere(
        self, form: str, accounts: Collection[str], first: date, last: date, seen: Collection[str]
    ) -> list[str]:
        """Lines of these accounts and days that came by the format and are not among the seen."""
        rows = self._clickhouse.query(
            _ELSEWHERE,
            {
                "provider": self._provider,
                "format": form,
                "accounts": list(accounts),
                "first": first,
                "last": last,
            },
        )
        return sorted({str(line_id) for (line_id,) in rows} - set(seen))

    def remove(self, ids: Sequence[str]) -> None:
        """Take lines out, by a version that says so."""
        wanted = [name for name in _NAMES if name not in ("version", "imported_at")]
        for some in id_groups(ids):
            rows = self._clickhouse.query(
                f"SELECT {', '.join(wanted)} FROM invoice_charges FINAL "
                "WHERE provider = {provider:String} AND line_id IN {ids:Array(String)}",
                {"provider": self._provider, "ids": some},
            )
            self.write([replace(Charge(*row), removed=True) for row in rows])
