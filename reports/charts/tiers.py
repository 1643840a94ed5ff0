"""Shares of calls by tier over time, with the line that cost-optimised models should reach."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import altair as alt

from reports.charts.style import GREY, PALETTE, WARM, day_axis, finished
from reports.figures.figure import Table

ORDER = ("cost-optimised", "balanced", "frontier")
"""From the cheapest on, so that its share begins at the bottom and meets the line."""
NO_TIER = "no tier"


def tier_shares_chart(
    table: Table, line: Decimal, *, width: int | str = "container"
) -> dict[str, Any]:
    """From a table with `day`, `routing_tier` and `calls`. ``line``: a share, 0 to 1."""
    rows = [row for row in table.records() if row["calls"] > 0]
    whole: dict[Any, int] = {}
    for row in rows:
        whole[row["day"]] = whole.get(row["day"], 0) + int(row["calls"])
    tiers = _ordered({row["routing_tier"] or NO_TIER for row in rows})
    values = [
        {
            "day": row["day"].isoformat(),
            "tier": row["routing_tier"] or NO_TIER,
            "place": tiers.index(row["routing_tier"] or NO_TIER),
            "share": int(row["calls"]) / whole[row["day"]],
            "calls": f"{row['calls']:,}",
        }
        for row in rows
    ]
    columns = (
        alt.Chart({"values": values})
        .mark_bar()
        .encode(
            x=day_axis(),
            y=alt.Y(
                "share:Q",
                title=None,
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
            ),
            color=alt.Color(
                "tier:N",
                title=None,
                scale=alt.Scale(domain=tiers, range=_colours(tiers)),
                legend=alt.Legend(orient="top", columns=2),
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("day:N", title="Day"),
                alt.Tooltip("tier:N", title="Tier"),
                alt.Tooltip("share:Q", title="Share of calls", format=".1%"),
                alt.Tooltip("calls:N", title="Calls"),
            ],
        )
    )
    bound = alt.Chart({"values": [{"share": float(line)}]}).encode(y="share:Q")
    rule = bound.mark_rule(color=WARM, strokeDash=[6, 4], strokeWidth=2)
    return finished(alt.layer(columns, rule), width=width)


def _ordered(found: set[str]) -> list[str]:
    known = [tier for tier in ORDER if tier in found]
    return [*known, *sorted(found - set(known) - {NO_TIER}), *({NO_TIER} & found)]


def _colours(tiers: list[str]) -> list[str]:
    """The same colour for the same tier on every chart; without a tier: grey."""
    fixed = {"cost-optimised": PALETTE[2], "balanced": PALETTE[4], "frontier": PALETTE[0]}
    others = iter((PALETTE[3], PALETTE[1]) * len(tiers))
    return [GREY if tier == NO_TIER else fixed.get(tier) or next(others) for tier in tiers]
