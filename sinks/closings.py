"""Closings of months: how far the ledger had come, and what each team's month came to.

A closing is never changed; a month that is closed again gets another one, with the next number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from schemas.errors import SpendstreamError
from schemas.journal import MONEY
from sinks.clickhouse import ClickHouse, arrow_table

POSITIONS = "Array(Tuple(String, Int64))"
AS_OF = f"arrayExists(p -> p.1 = journal AND position <= p.2, {{positions:{POSITIONS}}})"
"""Of a row of `spend`: that it is in the ledger as of the parameter ``positions``."""
AFTER = f"NOT arrayExists(p -> p.1 = journal AND position <= p.2, {{since:{POSITIONS}}})"
"""Of a row of `spend`: that it is not in the ledger as of the parameter ``since``."""

_SCHEMA = pa.schema(
    [
        ("month", pa.date32()),
        ("number", pa.uint32()),
        ("closed_at", pa.timestamp("ms", "UTC")),
        ("closed_by", pa.string()),
        ("why", pa.string()),
        ("positions", pa.map_(pa.string(), pa.int64())),
        ("department", pa.string()),
        ("team", pa.string()),
        ("calls", pa.int64()),
        ("cost", MONEY),
    ]
)
_TOTALS = f"""
    SELECT department, team, sum(spend.calls) AS calls, sum(spend.cost) AS cost
    FROM spend
    WHERE toStartOfMonth(minute) = toDate({{month:String}}) AND {AS_OF}
    GROUP BY department, team
    ORDER BY department, team
"""
_CLOSINGS = """
    SELECT month, number, closed_at, closed_by, why, positions, calls, cost
    FROM closings
    ORDER BY closed_at, month, number
"""


class AlreadyClosed(SpendstreamError):
    """Somebody else closed the month at the same time."""


@dataclass(frozen=True, slots=True)
class Closing:
    """``month``: its first day, UTC; ``number``: from 1 on, by month; ``positions``: journal → the
    last entry that is in it; ``cost``: USD, None where nothing is priced."""

    month: date
    number: int
    closed_at: datetime
    by: str
    why: str
    positions: Mapping[str, int]
    calls: int
    cost: Decimal | None

    def __str__(self) -> str:
        return f"closing {self.number} of {self.month:%Y-%m}"


@dataclass(frozen=True, slots=True)
class Total:
    """What the month of a team comes to; ``cost``: USD, None where nothing is priced."""

    department: str | None
    team: str
    calls: int
    cost: Decimal | None


def positions_now(clickhouse: ClickHouse) -> dict[str, int]:
    """How far each journal is in the ledger. Raises ClickHouseError."""
    rows = clickhouse.query("SELECT journal, max(position) FROM ledger_progress GROUP BY journal")
    return {str(journal): int(position) for journal, position in rows if position >= 0}


def as_parameter(positions: Mapping[str, int]) -> list[tuple[str, int]]:
    """Positions as `AS_OF` and `AFTER` take them."""
    return sorted(positions.items())


def totals(clickhouse: ClickHouse, month: date, positions: Mapping[str, int]) -> list[Total]:
    """What the month comes to as of these positions, by team. Raises ClickHouseError."""
    parameters = {"month": str(month), "positions": as_parameter(positions)}
    return [
        Total(department, str(team), int(calls), cost)
        for department, team, calls, cost in clickhouse.query(_TOTALS, parameters)
    ]


def closings(clickhouse: ClickHouse) -> list[Closing]:
    """All of them, in the order in which they were made. Raises ClickHouseError."""
    return [
        Closing(
            month,
            int(number),
            closed_at.replace(tzinfo=UTC),
            str(by),
            str(why),
            {str(journal): int(position) for journal, position in positions.items()},
            int(calls),
            cost,
        )
        for month, number, closed_at, by, why, positions, calls, cost in clickhouse.query(_CLOSINGS)
    ]


def record_closing(clickhouse: ClickHouse, closing: Closing, found: Sequence[Total]) -> None:
    """Write it with the totals of its teams, at least one, all at once.

    Raises ClickHouseError, and AlreadyClosed where the number is taken.
    """
    common: dict[str, Any] = {
        "month": closing.month,
        "number": closing.number,
        "closed_at": closing.closed_at,
        "closed_by": closing.by,
        "why": closing.why,
        "positions": list(closing.positions.items()),
    }
    rows = [
        {
            **common,
            "department": one.department,
            "team": one.team,
            "calls": one.calls,
            "cost": one.cost,
        }
        for one in found
    ]
    token = f"closing {closing.number} of {closing.month}"
    clickhouse.insert("month_closings", arrow_table(_SCHEMA, rows), token=token)
    written = [
        one
        for one in closings(clickhouse)
        if (one.month, one.number) == (closing.month, closing.number)
    ]
    if written != [closing]:
        raise AlreadyClosed(
            f"{closing.month:%Y-%m}: somebody else has closed it at this moment; "
            f"see  spendstream close list --month {closing.month:%Y-%m}"
        )
