"""Gathers the figures of the board's report: each from a public view, as ClickHouse answers it."""

from __future__ import annotations

from datetime import UTC, date

from reports.board.measures import OWN, WHOLE
from reports.board.model import AsOf, Board
from reports.board.tables import (
    budgets_of,
    cache_figures,
    outcomes_of,
    restated_months,
    tiers_by_month,
)
from reports.figures.ask import figures
from reports.figures.figure import Column, Figure, Table
from reports.figures.lens import USD, Lens
from reports.figures.overview import compared, pace, spend_by_day, top
from reports.figures.period import Period
from reports.savings import Span, savings
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse

TOP = 6
"""Rows that a page has room for."""


def gather(
    clickhouse: ClickHouse,
    month: Period,
    today: date,
    currency: str = USD,
) -> Board:
    """The report of a whole month, as far as it has come ``today`` (UTC).

    Raises UserError where there is nothing to report, or no exchange rate for it, and
    ClickHouseError.
    """
    if month.first > today:
        raise UserError(f"--month: {month.first:%Y-%m} has not begun yet; today is {today} (UTC)")
    lens = Lens(Period(month.first, min(month.last, today)), today, currency=currency)
    _check_rates(clickhouse, lens)
    as_of = _as_of(clickhouse, lens)
    before = Period.month_of(month.previous.first)
    found = figures(clickhouse, lens, WHOLE)
    if not found["calls"].value:
        raise UserError(
            f"--month: there are no calls in {month.first:%Y-%m} (UTC); the ledger's newest are of "
            f"{as_of.minute:%Y-%m-%d}"
        )
    own = figures(clickhouse, lens, OWN, where=lens.where("NOT is_shadow"))
    budgets = budgets_of(clickhouse, lens, month)
    found |= own | compared(clickhouse, lens) | cache_figures(clickhouse, lens)
    if (forecast := pace(clickhouse, lens).get("forecast")) is not None:
        found["forecast"] = forecast
    if found["change"].value is None:
        del found["change"]
    return Board(
        month,
        lens,
        as_of,
        found | _budget_figures(budgets),
        spend_by_day(clickhouse, lens),
        spend_by_day(clickhouse, lens.during(before)),
        tiers_by_month(clickhouse, lens, month),
        budgets,
        outcomes_of(clickhouse, lens, month),
        top(clickhouse, lens, "department", TOP),
        top(clickhouse, lens, "team", TOP),
        top(clickhouse, lens, "use_case", TOP),
        top(clickhouse, lens, "model", TOP),
        restated_months(clickhouse, lens),
        savings(clickhouse, Span(lens.period.first, lens.period.last)),
    )


def _as_of(clickhouse: ClickHouse, lens: Lens) -> AsOf:
    rows = lens.query(
        "SELECT max(minute), journal, max(position) FROM spend GROUP BY journal "
        "ORDER BY max(recorded_at) DESC LIMIT 1"
    ).rows(clickhouse)
    if not rows:
        raise UserError("the ledger is empty: nothing was spent yet")
    ((minute, journal, position),) = rows
    return AsOf(minute.replace(tzinfo=UTC), journal, int(position))


def _check_rates(clickhouse: ClickHouse, lens: Lens) -> None:
    if lens.currency == USD:
        return
    first = Period.month_of(lens.period.previous.first).first
    ((known, days),) = lens.query(
        "SELECT min(day), count() FROM daily_exchange_rates WHERE currency = {currency:String}"
    ).rows(clickhouse)
    if not days or known > first:
        raise UserError(
            f"--currency: no rate of {lens.currency} is known for {first}; write it under "
            "exchange_rates in the budgets file, which a running guard reads, or leave it out"
        )


def _budget_figures(budgets: Table) -> dict[str, Figure]:
    """The whole organisation's budget of money, where there is one."""
    for row in budgets.records():
        if row["whole"] and row["unit"] not in {"tokens", "calls"}:
            columns = {column.name: column for column in budgets.columns}
            return {
                f"budget_{name}": _cell(budgets, columns[name], row[name], row["unit"])
                for name in ("limit", "used", "share", "forecast")
            }
    return {}


def _cell(table: Table, column: Column, value: object, unit: str) -> Figure:
    title = {
        "limit": "Budget of the organisation",
        "used": "Used of the budget",
        "share": "Share of the budget used",
        "forecast": "Forecast against the budget",
    }[column.name]
    unit = unit if column.kind == "amount" else ""
    return Figure(
        f"budget_{column.name}", title, column.kind, value, unit, table.definition, table.sql
    )
