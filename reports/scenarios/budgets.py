"""A scenario against budgets: those whose period is the base's, as the guard has put on record.

A budget may be in another currency and count another set of calls, so its use is scaled: by what
the spend in its scope becomes, over what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from reports.scenarios.base import Base
from reports.scenarios.scenario import Scenario, usd
from schemas.journal import DIMENSIONS
from sinks.clickhouse import ClickHouse

_SLACK = timedelta(hours=14)
"""Months of the earth's time zones begin up to 14 hours before those of UTC, or 12 after them."""

_BUDGETS = """
SELECT budget, scope, selects, toUnixTimestamp(period_start), toUnixTimestamp(period_end), unit,
       limit, used
FROM budgets_against_actuals
WHERE used_usd IS NOT NULL AND used > 0
  AND period_start BETWEEN {first:DateTime('UTC')} - {slack:UInt32}
                       AND {first:DateTime('UTC')} + {slack:UInt32}
  AND period_end BETWEEN {end:DateTime('UTC')} - {slack:UInt32}
                     AND {end:DateTime('UTC')} + {slack:UInt32}
ORDER BY ALL
"""
_SPENT = """
SELECT provider, model, {names}, sum(spend.cost) FROM spend
WHERE minute >= toDateTime({{start:Int64}}, 'UTC') AND minute < toDateTime({{end:Int64}}, 'UTC')
GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class Against:
    """A budget, or one member's: its limit, what was used of it, and what would be, at least and at
    most; all in ``unit``, a currency."""

    budget: str
    scope: Mapping[str, str]
    unit: str
    limit: Decimal
    used: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class _Budget:
    name: str
    scope: Mapping[str, str]
    selects: Mapping[str, Sequence[str]]
    period: tuple[int, int]
    unit: str
    limit: Decimal
    used: Decimal


def against_budgets(clickhouse: ClickHouse, base: Base, scenario: Scenario) -> list[Against]:
    """Every budget of money of that period, the fullest first. Raises ClickHouseError.

    None is there where the guard runs without budgets, or ran without them then.
    """
    budgets = _budgets(clickhouse, base)
    found: list[Against] = []
    for period in sorted({budget.period for budget in budgets}):
        of_period = [budget for budget in budgets if budget.period == period]
        names = sorted({name for budget in of_period for name in budget.selects})
        spent = _spent(clickhouse, period, names)
        found += [one for budget in of_period for one in _against(budget, spent, scenario)]
    return sorted(found, key=lambda one: (-one.high / one.limit, one.budget, sorted(one.scope)))


def _budgets(clickhouse: ClickHouse, base: Base) -> list[_Budget]:
    end = base.last + timedelta(days=1)
    rows = clickhouse.query(
        _BUDGETS,
        {
            "first": datetime(base.first.year, base.first.month, base.first.day, tzinfo=UTC),
            "end": datetime(end.year, end.month, end.day, tzinfo=UTC),
            "slack": int(_SLACK.total_seconds()),
        },
    )
    return [
        _Budget(str(name), scope, selects, (int(start), int(end)), str(unit), limit, used)
        for name, scope, selects, start, end, unit, limit, used in rows
    ]


def _spent(
    clickhouse: ClickHouse, period: tuple[int, int], names: Sequence[str]
) -> list[tuple[dict[str, Any], Decimal]]:
    known = [name for name in names if name in DIMENSIONS and name not in {"provider", "model"}]
    # Quoted: `user` is a function of ClickHouse too.
    columns = ", ".join(f"spend.`{name}`" for name in known) or "NULL"
    rows = clickhouse.query(_SPENT.format(names=columns), {"start": period[0], "end": period[1]})
    found = []
    for provider, model, *values, cost in rows:
        place = {"provider": provider, "model": model} | dict(zip(known, values, strict=False))
        found.append((place, Decimal(0) if cost is None else cost))
    return found


def _against(
    budget: _Budget, spent: Iterable[tuple[dict[str, Any], Decimal]], scenario: Scenario
) -> Iterable[Against]:
    changed = rest = Fraction(0)
    for place, cost in spent:
        if any(place.get(name) not in values for name, values in budget.selects.items()):
            continue
        if scenario.touches(str(place["provider"]), str(place["model"])):
            changed += Fraction(cost)
        else:
            rest += Fraction(cost)
    whole = changed + rest
    if whole <= 0:
        return  # nothing of it is in the ledger any more that could be scaled
    change = scenario.change
    low, high = (
        usd(Fraction(budget.used) * (rest + changed * factor) / whole)
        for factor in (change.low, change.high)
    )
    yield Against(budget.name, budget.scope, budget.unit, budget.limit, budget.used, low, high)
