"""Share of calls and of spend on cost-optimised models by month, against the line of a half."""

from __future__ import annotations

from typing import Any

import altair as alt

from reports.charts.style import PALETTE, WARM, finished
from reports.figures.figure import Table

_LINE = 0.5
_WHAT = {"calls": "of calls", "spend": "of spend"}


def tier_months_chart(
    table: Table, *, width: int | str = "container", height: int = 220
) -> dict[str, Any]:
    """From a table with `month`, `calls` and `spend`, shares from 0 to 1; an unknown one has no
    column."""
    values = [
        {"month": f"{row['month']:%b %Y}", "what": what, "share": float(row[name])}
        for row in table.records()
        for name, what in _WHAT.items()
        if row[name] is not None
    ]
    months = [f"{row['month']:%b %Y}" for row in table.records()]
    x = alt.X("month:N", title=None, sort=months, axis=alt.Axis(labelAngle=0, ticks=False))
    percent = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
    y = alt.Y("share:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=percent)
    columns = alt.Chart({"values": values}).encode(
        x=x,
        xOffset=alt.XOffset("what:N", sort=list(_WHAT.values())),
        y=y,
    )
    line = alt.Chart({"values": [{"share": _LINE, "label": "line: 50 %"}]}).encode(y="share:Q")
    layers = [
        columns.mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2).encode(
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=list(_WHAT.values()), range=[PALETTE[2], PALETTE[1]]),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=["month:N", "what:N", alt.Tooltip("share:Q", format=".1%")],
        ),
        columns.mark_text(baseline="bottom", dy=-2, fontSize=9).encode(
            text=alt.Text("share:Q", format=".0%")
        ),
        line.mark_rule(color=WARM, strokeDash=[6, 4]),
    ]
    return finished(alt.layer(*layers), width=width, height=height)
