"""What something is made of: a bar for each part, the largest first."""

from __future__ import annotations

from typing import Any

import altair as alt

from reports.charts.style import ACCENT, exact, finished, money_axis
from reports.figures.figure import Table

SHOWN = 12
_ROW = 24  # pixels


def parts_chart(
    table: Table,
    name: str,
    measure: str,
    unit: str,
    *,
    title: str = "Spend",
    kind: str = "money",
    width: int | str = "container",
) -> dict[str, Any]:
    """From a table with a column of names and one of money or (``kind="share"``) shares.

    Parts whose measure is not known are left out; after `SHOWN` parts it ends.
    """
    rows = [row for row in table.records() if row[measure] is not None][:SHOWN]
    labels = _labels([row[name] for row in rows])
    values = [
        {"name": label, "value": float(row[measure]), "exact": exact(row[measure], unit)}
        for label, row in zip(labels, rows, strict=True)
    ]
    axis = (
        alt.Axis(format="%", tickCount=5)
        if kind == "share"
        else alt.Axis(labelExpr=money_axis(unit), tickCount=5)
    )
    scale = alt.Scale(domain=[0, 1]) if kind == "share" else alt.Undefined
    chart = (
        alt.Chart({"values": values})
        .mark_bar(color=ACCENT, cornerRadiusEnd=2)
        .encode(
            y=alt.Y(
                "name:N",
                sort=labels,
                title=None,
                axis=alt.Axis(labelLimit=140, labelPadding=6, ticks=False, domain=False),
            ),
            x=alt.X("value:Q", title=None, axis=axis, scale=scale),
            tooltip=[
                alt.Tooltip("name:N", title="Name"),
                alt.Tooltip("exact:N", title=title),
            ],
        )
    )
    return finished(chart, width=width, height=max(1, len(values)) * _ROW)


def _labels(names: list[Any]) -> list[str]:
    """Each its own: a part that is really named `none` is not the one without a name."""
    labels: list[str] = []
    for name in names:
        label = "none" if name in {None, ""} else str(name)
        while label in labels:
            label += " "
        labels.append(label)
    return labels
