"""Spend of a month as it adds up from day to day, beside that of the month before, and a budget."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import altair as alt

from reports.charts.style import ACCENT, GREY, WARM, exact, finished, money_axis
from reports.figures.figure import Table


def cumulative_chart(
    now: Table,
    before: Table,
    currency: str,
    names: tuple[str, str],
    *,
    limit: Decimal | None = None,
    width: int | str = "container",
    height: int = 220,
) -> dict[str, Any]:
    """From two tables with `day` and `spend`, each of one month. ``names``: of this month and of
    the one before. ``limit``: of the month, in ``currency``; None draws no line."""
    values = [*_points(before, names[1], currency), *_points(now, names[0], currency)]
    x = alt.X(
        "day:Q",
        title=None,
        scale=alt.Scale(domain=[1, 31], nice=False),
        axis=alt.Axis(values=[1, 8, 15, 22, 29], grid=False, format="d"),
    )
    y = alt.Y("spend:Q", title=None, axis=alt.Axis(labelExpr=money_axis(currency), tickCount=4))
    domain = [names[0], names[1]]
    colour = alt.Color(
        "month:N",
        scale=alt.Scale(domain=domain, range=[ACCENT, GREY]),
        legend=alt.Legend(orient="top-left", title=None),
    )
    layers = [
        alt.Chart({"values": values})
        .mark_line(
            strokeWidth=2.5, strokeJoin="round", interpolate="step-after", point=len(now.rows) == 1
        )
        .encode(
            x=x,
            y=y,
            color=colour,
            strokeDash=alt.StrokeDash(
                "month:N", scale=alt.Scale(domain=domain, range=[[1, 0], [4, 3]]), legend=None
            ),
            tooltip=["month:N", "day:Q", alt.Tooltip("exact:N", title="Spend so far")],
        )
    ]
    if limit is not None:
        bound = {"spend": float(limit), "label": "budget", "day": 31}
        line = alt.Chart({"values": [bound]}).encode(y="spend:Q")
        layers += [
            line.mark_rule(color=WARM, strokeDash=[6, 4]),
            line.mark_text(align="right", baseline="bottom", dy=-3, color=WARM).encode(
                x="day:Q", text="label:N"
            ),
        ]
    return finished(alt.layer(*layers), width=width, height=height)


def _points(table: Table, month: str, currency: str) -> list[dict[str, Any]]:
    """The sum so far of each day that has any; what is not known adds nothing."""
    so_far, points = Decimal(0), []
    for row in table.records():
        so_far += row["spend"] or 0
        points.append(
            {
                "day": row["day"].day,
                "month": month,
                "spend": float(so_far),
                "exact": exact(so_far, currency),
            }
        )
    return points
