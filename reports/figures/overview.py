"""The overview: what was spent, how fast, and who spent it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from reports.figures.ask import figures, key, ledger, table
from reports.figures.figure import Figure, Measure, Table
from reports.figures.lens import Lens
from reports.figures.measures import CALLS, NOT_IN_COST, SPEND, TOKENS, USERS, ratio, spent
from reports.figures.period import Period
from sinks.clickhouse import ClickHouse

TOP = 10
BURN_DAYS = 7


@dataclass(frozen=True, slots=True)
class Overview:
    """``pace`` has `forecast` where the period is of one month that is not over."""

    totals: Mapping[str, Figure]
    compared: Mapping[str, Figure]
    pace: Mapping[str, Figure]
    by_day: Table
    top_teams: Table
    newest_day: date | None


def overview(clickhouse: ClickHouse, lens: Lens) -> Overview:
    """Raises ClickHouseError."""
    totals = figures(clickhouse, lens, [SPEND, CALLS, TOKENS, USERS, NOT_IN_COST])
    return Overview(
        totals,
        compared(clickhouse, lens),
        pace(clickhouse, lens),
        spend_by_day(clickhouse, lens),
        top(clickhouse, lens, "team"),
        None if totals["calls"].value else newest_day(clickhouse, lens),
    )


def compared(clickhouse: ClickHouse, lens: Lens) -> dict[str, Figure]:
    """`previous`, the spend of the period before, and `change` as a share of it."""
    now, before = lens.period, lens.period.previous
    both = lens.during(Period(before.first, now.last))
    current = spent(where=f"day >= '{now.first}'")
    earlier = spent(where=f"day <= '{before.last}'")
    return figures(
        clickhouse,
        both,
        [
            Measure(
                "previous",
                "Period before",
                "money",
                earlier,
                f"Spend from {before.first} to {before.last} (UTC).",
            ),
            Measure(
                "change",
                "Change",
                "change",
                ratio(f"{current} - {earlier}", earlier),
                f"Spend from {now.first} to {now.last}, less that from {before.first} to "
                f"{before.last}, as a share of the latter.",
            ),
        ],
    )


def pace(clickhouse: ClickHouse, lens: Lens) -> dict[str, Figure]:
    """`burn`, USD a day, and `forecast` of the month; without what cannot be said."""
    whole = lens.period.whole_days(lens.today)
    if whole is None:
        return {}
    recent = Period(max(whole.first, Period.ending(whole.last, BURN_DAYS).first), whole.last)
    measures = {
        recent: Measure(
            "burn",
            "Spend a day",
            "money",
            f"{spent()} / {recent.days}",
            f"Mean of the {recent.days} newest whole days of the period, {recent} (UTC).",
        )
    }
    month = lens.period.month
    found = figures(clickhouse, lens.during(recent), list(measures.values()))
    if month is not None and lens.today <= month.last and whole.last < month.last:
        forecast = Measure(
            "forecast",
            f"Forecast, {month.first:%B}",
            "money",
            f"{spent()} * {month.days} / {whole.days}",
            f"What the month comes to if each of its {month.days} days costs the mean of its "
            f"{whole.days} whole days so far. It knows nothing of weekends or plans.",
        )
        found |= figures(clickhouse, lens.during(whole), [forecast])
    return found


def spend_by_day(clickhouse: ClickHouse, lens: Lens) -> Table:
    """Spend and calls of each day that has any."""
    return table(
        clickhouse,
        lens,
        "spend_by_day",
        "Spend by day",
        keys=[key("day")],
        measures=[SPEND, CALLS],
        order="1",
        definition="Days are UTC, by the time at which a call was answered.",
    )


def top(clickhouse: ClickHouse, lens: Lens, dimension: str, limit: int = TOP) -> Table:
    """Who or what cost most: a row for each name of a dimension, None for what names none."""
    whole = f"(SELECT {spent()} FROM {ledger(lens)} WHERE {lens.where()})"
    share = Measure("share", "Share", "share", ratio(spent(), whole), "Of the whole spend.")
    return table(
        clickhouse,
        lens,
        f"by_{dimension}",
        f"By {dimension.replace('_', ' ')}",
        keys=[key(dimension)],
        measures=[SPEND, share, CALLS, TOKENS, NOT_IN_COST],
        order=f"2 DESC NULLS LAST, 4 DESC, {dimension}",
        limit=limit,
        definition="Dearest first, with shares of the whole spend that is looked at.",
    )


def newest_day(clickhouse: ClickHouse, lens: Lens) -> date | None:
    """The newest day of the scope with calls, whatever the period; None: there is none."""
    condition = lens.where(time="")
    sql = f"SELECT max(day), count() FROM spend_by_day WHERE {condition}"
    ((newest, rows),) = lens.query(sql).rows(clickhouse)
    return newest if rows else None
