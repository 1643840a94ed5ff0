"""`/routing`: how much goes to cheaper models."""

from __future__ import annotations

from decimal import Decimal

from reports.charts.tiers import tier_shares_chart
from reports.figures.archive import small_enough
from reports.figures.lens import Lens
from reports.figures.pairs import shadow_pairs
from reports.figures.routing import LINE, routing
from reports.page.asked import Asked
from reports.page.content import Chart, Content, Rows, Section
from reports.page.prompts import too_many
from sinks.clickhouse import ClickHouse

NO_SHADOWS = "No call of this time was shadowed: docs/routing-report.md says how it is done."


def routing_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    found = routing(clickhouse, lens)
    line = Decimal(LINE)
    shares = Section(
        "Cost-optimised models",
        lead="Half of all calls is the line: simple calls belong on cheaper models.",
        figures=list(found.shares.values()),
    )
    days = Section(
        "Day by day",
        charts=[
            Chart(
                "tiers_by_day",
                tier_shares_chart(found.by_day, line),
                "Shares of calls by tier for each day; the dashed line is at "
                f"{line * 100:.0f} % of all calls.",
                found.by_day,
            )
        ],
    )
    tables = Section(
        "Tiers and teams",
        tables=[
            Rows(found.by_tier),
            Rows(found.by_team, lambda row: asked.of("team", row["team"]).url("/routing")),
        ],
    )
    few = small_enough(clickhouse, lens)
    pairs = [Rows(shadow_pairs(clickhouse, lens), empty=NO_SHADOWS)] if few else []
    shadows = Section(
        "Shadow calls",
        lead="Copies of calls on another tier, for comparing.",
        figures=list(found.shadows.values()),
        tables=pairs,
        notes=[] if few else [too_many()],
        links={"What they show, and what routing would save": asked.url("/savings")},
    )
    return Content("Routing", [shares, days, tables, shadows])
