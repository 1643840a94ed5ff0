"""Budgets against what was used, and alerts with where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures.ask import figures
from reports.figures.figure import Column, Figure, Measure, Table
from reports.figures.lens import DIMENSIONS, NOBODY, Lens, within
from sinks.clickhouse import ClickHouse

_SCOPED = tuple(name for name in DIMENSIONS if name not in {"environment"})
"""What the scopes of budgets and alerts may name, of what a page is narrowed by."""
_WHOSE = (
    "arrayStringConcat(arrayMap((k, v) -> concat(replaceAll(k, '_', ' '), ' ', v), "
    "mapKeys(scope), mapValues(scope)), ', ')"
)
_COUNTED = (
    f"multiIf(notEmpty(scope), {_WHOSE}, empty(selects), 'everybody', "
    "arrayStringConcat(arrayMap((k, v) -> concat(replaceAll(k, '_', ' '), ' ', "
    "arrayStringConcat(v, ' or ')), mapKeys(selects), mapValues(selects)), ', '))"
)
"""Whose a budget is: one member's, everybody's, or that of several names together."""
_NOON = "(toDateTime({last:Date}, 'UTC') + INTERVAL 12 HOUR)"
"""Of the last day: by it a budget's period is chosen, whose days may begin in another time zone."""
_BUDGETS = (
    Column("budget", "Budget", "text", key=True),
    Column("whose", "Whose", "text", key=True),
    Column("period", "Period", "month"),
    Column("unit", "Unit", "text"),
    Column("used", "Used", "amount"),
    Column("limit", "Limit", "amount"),
    Column("share", "Of the limit", "share"),
    Column("forecast", "Forecast", "amount"),
    Column("breach_at", "Limit reached", "moment"),
)
BUDGET_ROWS = 30
NEARLY = "0.8"
"""From this share of its limit on a user's budget is worth a line on the overview."""
_HISTORY = (
    Column("title", "Alert", "text", key=True),
    Column("rule", "Rule", "text"),
    Column("whose", "Whose", "text"),
    Column("severity", "Severity", "text"),
    Column("transition", "Now", "text"),
    Column("by", "By", "text"),
    Column("opened_at", "Opened, UTC", "moment"),
    Column("at", "Since, UTC", "moment"),
)
_OPEN = (
    Column("alert_id", "Alert", "text", key=True),
    *(Column(name, name, "text") for name in ("rule", "whose", "severity", "transition")),
    *(Column(name, name, "text") for name in ("by", "title", "detail", "unit")),
    Column("value", "value", "amount"),
    Column("limit", "limit", "amount"),
    Column("since", "since", "moment"),
    Column("review", "review", "text"),
)

_COUNTS = (
    Measure(
        "open_alerts",
        "Open alerts",
        "count",
        "count()",
        "Alerts that are not resolved and whose period is not over, and reviews that nobody has "
        "acknowledged.",
        "alerts",
    ),
    Measure(
        "critical_alerts",
        "Critical",
        "count",
        "countIf(severity = 'critical')",
        "Open alerts of severity critical.",
        "alerts",
    ),
    Measure(
        "unacknowledged",
        "Not taken on",
        "count",
        "countIf(transition != 'acknowledged')",
        "Open alerts that nobody has acknowledged.",
        "alerts",
    ),
)


@dataclass(frozen=True, slots=True)
class Alerts:
    """``open`` are those of now, whatever the period; ``history`` began or changed in it."""

    counts: Mapping[str, Figure]
    open: Table
    history: Table


def budgets(
    clickhouse: ClickHouse, lens: Lens, *, brief: bool = False, limit: int = BUDGET_ROWS
) -> Table:
    """Those whose period the last day is in, the fullest first. ``brief``: without those of single
    users, but for the ones that are used up to `NEARLY`. Raises ClickHouseError."""
    large = f"(NOT mapContains(scope, 'user') OR share >= {NEARLY})" if brief else ""
    where = " AND ".join(
        filter(None, [f"period_start <= {_NOON}", f"period_end > {_NOON}", _mine(lens), large])
    )
    sql = (
        f"SELECT budget, {_COUNTED}, period, unit, used, `limit`, share, forecast, breach_at "
        f"FROM budgets_against_actuals WHERE {where}"
    )
    query = lens.query(f"{sql} ORDER BY 7 DESC NULLS LAST, 1, 2 LIMIT {limit}")
    rows = tuple(query.rows(clickhouse))
    of = None
    if len(rows) == limit:
        ((of,),) = lens.query(f"SELECT count() FROM ({sql})").rows(clickhouse)
    return Table(
        "budgets",
        "Budgets",
        _BUDGETS,
        rows,
        "As the guard counts them, about a minute behind the ledger, in the unit and the calendar "
        "of each; forecast: what will be used at the period's end at the pace of lately.",
        query.text,
        of if of is not None and int(of) > len(rows) else None,
    )


def alerts(clickhouse: ClickHouse, lens: Lens) -> Alerts:
    """Raises ClickHouseError."""
    mine = _mine(lens) or "true"
    return Alerts(
        alert_counts(clickhouse, lens),
        _open(clickhouse, lens, mine),
        _history(clickhouse, lens, mine),
    )


def alert_counts(clickhouse: ClickHouse, lens: Lens) -> Mapping[str, Figure]:
    """How many are open now, whatever the period. Raises ClickHouseError."""
    return figures(clickhouse, lens, _COUNTS, source="open_alerts", where=_mine(lens) or "true")


def sees_alert(clickhouse: ClickHouse, lens: Lens, alert_id: str) -> bool:
    """Whether it is one of the open alerts that the page shows. Raises ClickHouseError."""
    condition = f"alert_id = {{alert_id:String}} AND {_mine(lens) or 'true'}"
    query = lens.query(f"SELECT 1 FROM open_alerts WHERE {condition}", alert_id=alert_id)
    return bool(query.rows(clickhouse))


def _open(clickhouse: ClickHouse, lens: Lens, mine: str) -> Table:
    query = lens.query(
        f"SELECT alert_id, rule, {_WHOSE}, severity, transition, by, title, detail, unit, value, "
        f"`limit`, since, review FROM open_alerts WHERE {mine} "
        "ORDER BY indexOf(['critical', 'warning', 'info'], severity), since DESC, alert_id "
        "LIMIT 100"
    )
    return Table("open_alerts", "Open", _OPEN, tuple(query.rows(clickhouse)), "", query.text)


def _history(clickhouse: ClickHouse, lens: Lens, mine: str) -> Table:
    query = lens.query(
        f"SELECT title, rule, {_WHOSE}, severity, transition, by, opened_at, at FROM "
        "(SELECT *, min(at) OVER (PARTITION BY alert_id) AS opened_at FROM alert_history "
        f"WHERE {mine}) "
        f"WHERE {within('at')} ORDER BY at DESC, number DESC, alert_id LIMIT 1 BY alert_id LIMIT 50"
    )
    return Table(
        "alert_history",
        "Alerts of the period",
        _HISTORY,
        tuple(query.rows(clickhouse)),
        "Each alert that opened or changed in the period, as it was at the period's end; newest "
        "first.",
        query.text,
    )


def _mine(lens: Lens) -> str:
    """The condition on views with a `scope`: what the lens names, and what the viewer may see."""
    parts = []
    for dimension, names in lens.scope.items():
        if dimension in _SCOPED and NOBODY not in names:
            parts.append(f"scope['{dimension}'] IN {{of_{dimension}:Array(String)}}")
    if not lens.viewer.sees_all:
        parts.append(
            "(scope['department'] IN {departments:Array(String)} "
            "OR scope['team'] IN {teams:Array(String)} "
            "OR (scope['department'] = '' AND scope['team'] IN "
            f"(SELECT team FROM spend_by_day GROUP BY team HAVING min({lens.seen()}) = true)))"
        )
    return " AND ".join(parts)
