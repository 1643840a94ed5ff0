"""The base of a scenario, from the ledger: spend by provider, model and team, of whole days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from reports.scenarios.scenario import Line
from sinks.clickhouse import ClickHouse

_DAYS = "day BETWEEN toDate({first:String}) AND toDate({last:String})"
_LINES = f"""
SELECT provider, model, team, sum(d.calls), sum(d.cost),
       sum(d.unpriced_calls + d.calls_without_usage)
FROM spend_by_day AS d WHERE {_DAYS}
GROUP BY provider, model, team ORDER BY ALL
"""
_NEWEST = "SELECT max(day) FROM spend_by_day WHERE day < toDate({before:String}) HAVING count() > 0"


@dataclass(frozen=True, slots=True)
class Base:
    """Spend of the days ``first`` to ``last``, UTC, both included. ``unknown``: calls whose cost is
    not known, and so in no figure."""

    first: date
    last: date
    lines: tuple[Line, ...]
    unknown: int


def read_base(clickhouse: ClickHouse, first: date, last: date) -> Base:
    """All spend of these days, corrections and shadow calls included. Raises ClickHouseError."""
    rows = clickhouse.query(_LINES, {"first": str(first), "last": str(last)})
    lines = tuple(
        Line(str(provider), str(model), str(team), int(calls), _known(cost, int(unknown)))
        for provider, model, team, calls, cost, unknown in rows
    )
    return Base(first, last, lines, sum(int(row[-1]) for row in rows))


def newest_day(clickhouse: ClickHouse, before: date) -> date | None:
    """The newest day with spend before that day; None: there is none. Raises ClickHouseError."""
    for (day,) in clickhouse.query(_NEWEST, {"before": str(before)}):
        found: date = day
        return found
    return None


def _known(cost: Decimal | None, unknown: int) -> Decimal | None:
    """Nothing but what a cache answered, beside calls of no known cost, says nothing."""
    return None if unknown and not cost else cost
