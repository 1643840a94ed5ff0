"""The charts of the report: what a point stands for, and what is not drawn."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

from reports.charts.cumulative import cumulative_chart
from reports.charts.tier_months import tier_months_chart
from reports.figures.figure import Column, Table

NAMES = ("November 2026", "October 2026")


def days(month: int, *spend: str | None) -> Table:
    rows = tuple(
        (date(2026, month, day), None if usd is None else Decimal(usd))
        for day, usd in enumerate(spend, start=1)
    )
    return Table("days", "", (Column("day", "", "day"), Column("spend", "", "money")), rows, "", "")


def points(chart: dict[str, Any], layer: int = 0) -> list[dict[str, Any]]:
    """The data of a layer, which Altair puts apart."""
    found: list[dict[str, Any]] = chart["datasets"][
        (chart["layer"][layer].get("data") or chart["data"])["name"]
    ]
    return found


def test_spend_adds_up_from_day_to_day_and_what_is_not_known_adds_nothing():
    chart = cumulative_chart(days(11, "1.5", None, "2"), days(10, "4"), "USD", NAMES)
    values = points(chart)
    assert [(one["month"], one["day"], one["spend"]) for one in values] == [
        ("October 2026", 1, 4.0),
        ("November 2026", 1, 1.5),
        ("November 2026", 2, 1.5),
        ("November 2026", 3, 3.5),
    ]
    assert values[-1]["exact"] == "3.5 USD"
    assert len(chart["layer"]) == 1


def test_a_budget_is_a_line_where_there_is_one():
    limit = Decimal(9)
    chart = cumulative_chart(days(11, "1"), days(10), "HKD", NAMES, limit=limit, width=300)
    assert points(chart, 1)[0]["spend"] == 9.0
    assert (chart["width"], "HK$" in json.dumps(chart)) == (300, True)


def test_an_unknown_share_has_no_column():
    columns = (
        Column("month", "", "day"),
        Column("calls", "", "share"),
        Column("spend", "", "share"),
    )
    rows = ((date(2026, 10, 1), Decimal("0.4"), None), (date(2026, 11, 1), Decimal("0.5"), 1))
    chart = tier_months_chart(Table("tiers", "", columns, rows, "", ""))
    assert points(chart) == [
        {"month": "Oct 2026", "what": "of calls", "share": 0.4},
        {"month": "Nov 2026", "what": "of calls", "share": 0.5},
        {"month": "Nov 2026", "what": "of spend", "share": 1.0},
    ]
