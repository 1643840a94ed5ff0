"""Measures the criteria: each figure from a public view, with the SQL that gives it."""

from __future__ import annotations

from reports.figures.ask import figures
from reports.figures.figure import Figure, Measure
from reports.figures.lens import Lens
from reports.maturity.criteria import CRITERIA
from sinks.clickhouse import ClickHouse

_TIME = (
    "occurred_at >= toDateTime({first:Date}, 'UTC') "
    "AND occurred_at < toDateTime({last:Date} + 1, 'UTC')"
)
_ARCHIVED = f"{_TIME} AND kind = 'usage' AND shadow_of IS NULL"
_DAYS = "day >= {first:Date} AND day <= {last:Date}"

SOURCES: dict[str, tuple[str | None, str | None]] = {
    "ledger": (None, None),
    "own": (None, f"{_DAYS} AND NOT is_shadow"),
    "providers": (
        f"(SELECT provider, sum(d.cost) AS cost FROM spend_by_day AS d WHERE {_DAYS} "
        "GROUP BY provider)",
        "true",
    ),
    "budgets": (
        "budgets_against_actuals",
        "period_start < toDateTime({last:Date} + 1, 'UTC') "
        "AND period_end > toDateTime({first:Date}, 'UTC')",
    ),
    "outcomes": ("reported_outcomes", f"{_TIME} AND name != 'quality'"),
    "quality": ("reported_outcomes", f"{_TIME} AND name = 'quality'"),
    "archive": ("usage", _ARCHIVED),
    "paid": (
        "usage",
        f"{_ARCHIVED} AND NOT ifNull(served_from_cache, false) AND ifNull(attempt, 1) = 1 "
        "AND retry_of IS NULL",
    ),
    "bloat": (
        "alert_history",
        "rule = 'context_bloat' AND transition = 'opened' "
        "AND since >= toDateTime({first:Date}, 'UTC') "
        "AND since < toDateTime({last:Date} + 1, 'UTC')",
    ),
    "own_prices": ("price_history", "NOT startsWith(source, 'genai-prices')"),
    "agreements": (
        "adjusted_spend",
        "startsWith(adjustment_id, 'true_up/agreement/') "
        "AND minute >= toDateTime({first:Date}, 'UTC') "
        "AND minute < toDateTime({last:Date} + 1, 'UTC')",
    ),
    "invoices": ("invoice_lines", _DAYS),
}
"""View or subquery, and condition, of each source that a criterion names; None: the ledger's."""


def measured(clickhouse: ClickHouse, lens: Lens) -> dict[str, Figure]:
    """The figure of every criterion, by its name. It blocks, and reads the archive of these days.

    Raises ClickHouseError.
    """
    found: dict[str, Figure] = {}
    for source, (view, where) in SOURCES.items():
        measures = [
            Measure(one.name, one.title, one.kind, one.sql, one.definition)
            for one in CRITERIA
            if one.source == source
        ]
        found |= figures(clickhouse, lens, measures, source=view, where=where)
    return found
