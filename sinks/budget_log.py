"""Budgets against actuals in ClickHouse, and the exchange rates that they are counted by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal

import pyarrow as pa

from sinks.clickhouse import ClickHouse, arrow_table

_MONEY = pa.decimal128(38, 12)
_STANDINGS = pa.schema(
    [
        ("budget", pa.string()),
        ("each", pa.list_(pa.string())),
        ("member", pa.list_(pa.string())),
        ("scope", pa.map_(pa.string(), pa.string())),
        ("selects", pa.map_(pa.string(), pa.list_(pa.string()))),
        ("period", pa.string()),
        ("period_start", pa.timestamp("s", "UTC")),
        ("period_end", pa.timestamp("s", "UTC")),
        ("unit", pa.string()),
        ("limit", _MONEY),
        ("used", pa.decimal256(76, 24)),
        ("used_usd", _MONEY),
        ("hourly", _MONEY),
        ("forecast", _MONEY),
        ("breach_at", pa.timestamp("ms", "UTC")),
        ("journal", pa.string()),
        ("position", pa.int64()),
        ("as_of", pa.timestamp("ms", "UTC")),
        ("recorded_at", pa.timestamp("ms", "UTC")),
    ]
)
_RATES = pa.schema(
    [
        ("currency", pa.string()),
        ("valid_from", pa.timestamp("s", "UTC")),
        ("units_per_usd", _MONEY),
        ("source", pa.string()),
        ("recorded_at", pa.timestamp("ms", "UTC")),
    ]
)
_RETIRE = """
    INSERT INTO budget_standings
    SELECT * REPLACE (true AS removed, {at:DateTime64(3, 'UTC')} AS recorded_at)
    FROM
    (
        SELECT *
        FROM
        (
            SELECT * FROM budget_standings FINAL
            ORDER BY recorded_at DESC
            LIMIT 1 BY budget, period, each, member
        )
        WHERE NOT removed
          AND ((budget, arrayStringConcat(each, ','), period)
                   NOT IN {current:Array(Tuple(String, String, String))}
               OR period = '' AND period_end + (period_end - period_start) < {now:DateTime('UTC')})
          AND (period = '' OR {now:DateTime('UTC')} BETWEEN period_start AND period_end - 1)
    )
"""
"""What is of the period of now and not known any more; and of windows that move those that moved on
long ago: whoever has spent in the last two is written anew.
"""


@dataclass(frozen=True, slots=True)
class StandingRow:
    """What a member of a budget has used of a period, as of a journal position. Times are UTC.

    ``limit``, ``used``, ``hourly`` and ``forecast`` are in ``unit``; ``used`` is None where an
    exchange rate is missing, ``used_usd`` where the unit is no money.
    """

    budget: str
    each: tuple[str, ...]
    member: tuple[str, ...]
    scope: Mapping[str, str]
    selects: Mapping[str, Sequence[str]]
    period: str
    period_start: datetime
    period_end: datetime
    unit: str
    limit: Decimal
    used: Decimal | None
    used_usd: Decimal | None
    hourly: Decimal | None
    forecast: Decimal | None
    breach_at: datetime | None
    journal: str
    position: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class RateRow:
    """From an instant (UTC) on, one USD is so many units of the currency."""

    currency: str
    valid_from: datetime
    units_per_usd: Decimal
    source: str | None


class BudgetLog:
    """The tables `budget_standings` and `exchange_rate_sets`. Every write can be repeated."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def record(self, rows: Sequence[StandingRow], at: datetime) -> None:
        """Put standings on record, in one insert. Of two of one member and period the one of the
        higher journal position holds, and of the same position the later one."""
        documents = [
            {
                **asdict(row),
                "scope": sorted(row.scope.items()),
                "selects": sorted((name, list(names)) for name, names in row.selects.items()),
                "recorded_at": at,
            }
            for row in rows
        ]
        self._clickhouse.insert("budget_standings", arrow_table(_STANDINGS, documents))

    def retire(
        self, current: Collection[tuple[str, Sequence[str], str]], now: datetime, at: datetime
    ) -> None:
        """Take out what a changed budgets file knows no more.

        ``current``: budget, dimensions of its members, and name of the period that ``now``, a time
        by the events, is in.
        """
        names = [(budget, ",".join(each), period) for budget, each, period in current]
        self._clickhouse.command(_RETIRE, {"current": names, "now": now, "at": at})

    def record_rates(self, rows: Sequence[RateRow], at: datetime) -> None:
        """Put all rates of a budgets file on record; they replace those of before."""
        documents = [{**asdict(row), "recorded_at": at} for row in rows]
        self._clickhouse.insert("exchange_rate_sets", arrow_table(_RATES, documents))
