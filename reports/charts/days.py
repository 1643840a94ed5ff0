"""Money of each day, as columns."""

from __future__ import annotations

from typing import Any

import altair as alt

from reports.charts.style import ACCENT, day_axis, exact, finished, money_axis
from reports.figures.figure import Table


def spend_by_day_chart(
    table: Table, currency: str, *, width: int | str = "container"
) -> dict[str, Any]:
    """From a table with `day` and `spend`; a day whose spend is not known has no column."""
    return money_by_day_chart(table, "spend", "Spend", currency, width=width)


def money_by_day_chart(
    table: Table,
    column: str,
    title: str,
    currency: str,
    *,
    colour: str = ACCENT,
    width: int | str = "container",
) -> dict[str, Any]:
    """From a table with `day` and a column of money."""
    values = [
        {
            "day": row["day"].isoformat(),
            "money": float(row[column]),
            "exact": exact(row[column], currency),
        }
        for row in table.records()
        if row[column] is not None
    ]
    chart = (
        alt.Chart({"values": values})
        .mark_bar(color=colour, cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=day_axis(),
            y=alt.Y(
                "money:Q", title=None, axis=alt.Axis(labelExpr=money_axis(currency), tickCount=5)
            ),
            tooltip=[alt.Tooltip("day:N", title="Day"), alt.Tooltip("exact:N", title=title)],
        )
    )
    return finished(chart, width=width)
