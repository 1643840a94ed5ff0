"""The tables of the board's report that are not of the ledger by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.figures.ask import figures
from reports.figures.figure import Column, Figure, Measure, Table
from reports.figures.lens import Lens
from reports.figures.period import Period
from sinks.clickhouse import ClickHouse

MONTHS = 6
"""Of the chart of tiers, this one included."""
BUDGETS, OUTCOMES, RESTATED = 5, 6, 4
"""Rows that a page has room for."""


def cache_figures(clickhouse: ClickHouse, lens: Lens) -> dict[str, Figure]:
    """What gateways' caches answered, and what that would have cost, in USD."""
    return figures(
        clickhouse,
        lens,
        [
            Measure(
                "cache_hits",
                "Answers from gateways' caches",
                "count",
                "sum(hits)",
                "Calls that a gateway answered from its own cache, at no cost.",
                "calls",
            ),
            Measure(
                "cache_saved",
                "Saved by gateways' caches",
                "usd",
                "if(count() = 0, 0, sum(saved))",
                "What those answers would have cost, in USD: what the newest call before with the "
                "same model and prompt cost. Where none is known, nothing is counted.",
            ),
        ],
        source="cache_savings",
        where=(
            "occurred_at >= toDateTime({first:Date}, 'UTC') "
            "AND occurred_at < toDateTime({last:Date} + 1, 'UTC')"
        ),
    )


def tiers_by_month(clickhouse: ClickHouse, lens: Lens, month: Period) -> Table:
    """Share of calls and of spend on cost-optimised models, of the last months."""
    first = month.first
    for _ in range(MONTHS - 1):
        first = Period.month_of(first).previous.first
    span = lens.during(Period(first, lens.period.last))
    share = "sum(if(routing_tier = 'cost-optimised', {0}, 0)) / nullIf(sum({0}), 0)"
    return _table(
        clickhouse,
        span,
        "tiers",
        "Cost-optimised models, by month",
        [
            Column("month", "Month", "day", key=True),
            Column("calls", "Share of calls", "share"),
            Column("spend", "Share of spend", "share"),
        ],
        [
            "month",
            share.format("toDecimal256(calls, 12)"),
            share.format("toDecimal256(cost, 12)"),
        ],
        "FROM tier_shares WHERE month >= {first:Date} AND month <= {last:Date} "
        "GROUP BY month ORDER BY month",
        "Share of calls, and of spend, that a router or gateway gave the tier “cost-optimised”.",
    )


def budgets_of(clickhouse: ClickHouse, lens: Lens, month: Period) -> Table:
    """Budgets of this month, the whole organisation's first, then the largest."""
    return _table(
        clickhouse,
        lens,
        "budgets",
        "Budgets of the month",
        [
            Column("budget", "Budget", "text", key=True),
            Column("unit", "Unit", "text"),
            Column("whole", "Whole organisation", "count"),
            Column("members", "Members", "count"),
            Column("limit", "Limit", "amount"),
            Column("used", "Used", "amount"),
            Column("share", "Used, of limit", "share"),
            Column("forecast", "Forecast", "amount"),
            Column("over", "At their limit", "count"),
            Column("heading_over", "Heading over it", "count"),
        ],
        [
            "budget",
            "unit",
            "min(empty(selects))",
            "count()",
            "sum(`limit`)",
            "if(countIf(used IS NULL) > 0, NULL, sum(b.used))",
            "if(countIf(used IS NULL) > 0, NULL, sum(b.used) / sum(`limit`))",
            "if(countIf(forecast IS NULL) > 0, NULL, sum(b.forecast))",
            "countIf(b.used >= `limit`)",
            "countIf(b.forecast > `limit` AND b.used < `limit`)",
        ],
        "FROM budgets_against_actuals AS b WHERE period = {period:String} "
        "GROUP BY budget, unit ORDER BY 3 DESC, sum(used_usd) DESC, budget "
        f"LIMIT {BUDGETS}",
        "Of each budget for this month, in its own unit and time zone: what its members may use, "
        "have used, and will have used at the pace of the last seven days. Only members that have "
        "used something count.",
        period=f"{month.first:%Y-%m}",
    )


def outcomes_of(clickhouse: ClickHouse, lens: Lens, month: Period) -> Table:
    """Business outcomes of the month with what one cost, in USD, the dearest in all first."""
    return _table(
        clickhouse,
        lens,
        "outcomes",
        "Cost per business outcome, in USD",
        [
            Column("name", "Outcome", "text", key=True),
            Column("team", "Team", "text", key=True),
            Column("use_case", "Use case", "text", key=True),
            Column("outcomes", "How many", "count"),
            Column("cost", "Spend", "usd", "USD"),
            Column("each", "Per outcome", "usd", "USD"),
        ],
        ["name", "team", "use_case", "outcomes", "cost", "usd_per_outcome"],
        "FROM unit_costs WHERE month = {month:Date} AND name != 'quality' "
        f"ORDER BY cost DESC NULLS LAST, outcomes DESC, name, team, use_case LIMIT {OUTCOMES}",
        "The whole spend of the team on the use case (on everything, where none is named), with "
        "failed work, retries and copies for comparison, over how many outcomes it reported in the "
        "month. Scores of quality are no outcome of their own.",
        month=month.first,
    )


def restated_months(clickhouse: ClickHouse, lens: Lens) -> Table:
    """Closed months that have changed since, in USD: it is the ledger that was restated."""
    return _table(
        clickhouse,
        lens,
        "restated",
        "Closed months that have changed",
        [
            Column("month", "Month", "day", key=True),
            Column("restated", "Changed by", "usd", "USD"),
            Column("cost", "Now", "usd", "USD"),
            Column("at", "Last change (UTC)", "moment"),
        ],
        ["month", "sum(r.restated_cost)", "sum(r.cost)", "max(last_restated_at)"],
        "FROM restated_spend AS r WHERE month <= {last:Date} GROUP BY month "
        f"ORDER BY month DESC LIMIT {RESTATED}",
        "A month (UTC) is closed a day after its end. What came later, by late events or by "
        "corrections, is here. In USD.",
    )


def _table(
    clickhouse: ClickHouse,
    lens: Lens,
    name: str,
    title: str,
    columns: Sequence[Column],
    chosen: Sequence[str],
    rest: str,
    definition: str,
    **more: Any,
) -> Table:
    query = lens.query(f"SELECT {', '.join(chosen)} {rest}", **more)
    rows = tuple(query.rows(clickhouse))
    return Table(name, title, tuple(columns), rows, definition, query.text)
