"""A month as a FOCUS 1.2 file: CSV or Parquet, written by ClickHouse, money as decimals.

The file is complete or it is not there: it gets its name when all of it was read back.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import SpendstreamError, UserError
from sinks.clickhouse import ClickHouse

Form = Literal["csv", "parquet"]

_FORMATS: Mapping[Form, str] = {"csv": "CSVWithNames", "parquet": "Parquet"}
_SETTINGS = (
    # FOCUS wants 2026-11-01T00:00:00Z, and nothing at all for null. With their zeros, quantities
    # are decimals for readers that guess types.
    "SETTINGS date_time_output_format = 'iso', format_csv_null_representation = '', "
    "output_format_decimal_trailing_zeros = 1"
)
_NO_CHARGE = """
    SELECT sumIf(spend.calls, rating = 'unpriced'), sumIf(spend.calls, rating = 'no_usage'),
           sumIf(spend.calls, price_ref = 'served from cache'), sum(spend.cost)
    FROM spend
    WHERE toDate(minute, 'UTC') >= toDate({first:String})
        AND toDate(minute, 'UTC') < toDate({end:String})
"""
_CHARGES = """
    SELECT sum(BilledCost), sumIf(abs(BilledCost), x_TokenClass = 'tokens_not_split'),
           countIf(ChargeClass = 'Correction')
    FROM focus_costs
    WHERE x_Day >= toDate({first:String}) AND x_Day < toDate({end:String})
"""


class BrokenExport(SpendstreamError):
    """What ClickHouse sent is no whole file."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a provider calls the account that it bills, in place of the provider's own name."""

    provider: str
    identifier: str
    name: str


@dataclass(frozen=True, slots=True)
class Charges:
    """What a month's charges come to, in USD, and what they leave out, in calls.

    ``cost`` is the ledger's. ``not_split``: what the rows come to that no recorded price explains,
    without signs. ``corrections``: rows of that class. No charge is made for calls that are
    ``unpriced``, ``without_usage`` or ``cached`` (answered by a gateway, which bills nothing).
    """

    cost: Decimal
    not_split: Decimal
    corrections: int
    unpriced: int
    without_usage: int
    cached: int


@dataclass(frozen=True, slots=True)
class FocusFile:
    """One file, with so many ``rows`` and ``size`` in bytes."""

    path: Path
    rows: int
    size: int
    charges: Charges


class NotTheLedger(SpendstreamError):
    """The charges do not add up to the ledger: a file of them would be wrong."""


def charges_of(clickhouse: ClickHouse, month: date) -> Charges:
    """What the month (its first day, UTC) is charged. Raises ClickHouseError, NotTheLedger."""
    span = {"first": str(month), "end": str(_following(month))}
    ((unpriced, without_usage, cached, ledger),) = clickhouse.query(_NO_CHARGE, span)
    ((cost, not_split, corrections),) = clickhouse.query(_CHARGES, span)
    # Rows that land in between make the two differ; asked for again, they do not.
    if cost != (ledger or 0):
        ((*_, ledger),) = clickhouse.query(_NO_CHARGE, span)
        ((cost, not_split, corrections),) = clickhouse.query(_CHARGES, span)
    if cost != (ledger or 0):
        raise NotTheLedger(
            f"{month:%Y-%m}: the charges come to {cost} USD and the ledger to {ledger} USD; "
            "if usage of that month is landing just now, try again once it has"
        )
    return Charges(
        cost, not_split, int(corrections), int(unpriced), int(without_usage), int(cached)
    )


def export_focus(
    clickhouse: ClickHouse,
    month: date,
    folder: Path,
    form: Form = "csv",
    accounts: tuple[Account, ...] = (),
) -> FocusFile:
    """Write ``focus-1.2-YYYY-MM.csv`` or ``.parquet``, over one that is there.

    Raises ClickHouseError, NotTheLedger, BrokenExport, and UserError where the folder cannot be
    written.
    """
    charges = charges_of(clickhouse, month)
    path = folder / f"focus-1.2-{month:%Y-%m}.{form}"
    part = path.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            clickhouse.download(_sql(month, accounts), _FORMATS[form], out)
            out.flush()
            os.fsync(out.fileno())
        rows, cost = _read_back(part, form)
        if cost != charges.cost:
            raise BrokenExport(
                f"{path.name}: the file comes to {cost} USD and the ledger to {charges.cost} USD; "
                "try again"
            )
        part.replace(path)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}; name a folder to write to") from None
    finally:
        part.unlink(missing_ok=True)
    return FocusFile(path, rows, path.stat().st_size, charges)


def _sql(month: date, accounts: tuple[Account, ...]) -> str:
    replaced = []
    if accounts:
        providers = [account.provider for account in accounts]
        for column, names in (
            ("BillingAccountId", [account.identifier for account in accounts]),
            ("BillingAccountName", [account.name for account in accounts]),
        ):
            mapped = f"transform(ProviderName, {_array(providers)}, {_array(names)}, {column})"
            replaced.append(f"{mapped} AS {column}")
    replace = f" REPLACE ({', '.join(replaced)})" if replaced else ""
    return (
        f"SELECT *{replace} FROM focus_costs "
        f"WHERE x_Day >= '{month}' AND x_Day < '{_following(month)}' "
        f"ORDER BY ChargePeriodStart, ProviderName, SkuPriceId, Tags, ChargeClass, BilledCost "
        f"{_SETTINGS}"
    )


def _array(texts: list[str]) -> str:
    quoted = ("'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'" for text in texts)
    return f"[{', '.join(quoted)}]"


def _read_back(path: Path, form: Form) -> tuple[int, Decimal]:
    """How many rows the file has, and what they are billed. Raises BrokenExport."""
    if form == "parquet":
        try:
            column = pq.read_table(path, columns=["BilledCost"])["BilledCost"]
        except pa.ArrowInvalid as error:
            reason = " ".join(str(error).split())[:200]
            raise BrokenExport(f"ClickHouse sent no whole file: {reason}") from None
        return len(column), sum((cost.as_py() for cost in column), Decimal(0))
    rows, total = 0, Decimal(0)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows += 1
            try:
                total += Decimal(row["BilledCost"])
            except (ArithmeticError, KeyError, TypeError):
                raise BrokenExport(f"row {rows} of what ClickHouse sent has no cost") from None
    return rows, total


def _following(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
