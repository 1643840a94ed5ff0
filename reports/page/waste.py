"""`/waste`: failures and retries."""

from __future__ import annotations

from reports.charts.days import money_by_day_chart
from reports.charts.style import WARM
from reports.figures.lens import Lens
from reports.figures.waste import waste
from reports.page.asked import Asked
from reports.page.content import Chart, Content, Rows, Section
from sinks.clickhouse import ClickHouse


def waste_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    found = waste(clickhouse, lens)
    return Content(
        "Retries and waste",
        [
            Section("Wasted", figures=list(found.totals.values())),
            Section(
                "Day by day",
                charts=[
                    Chart(
                        "waste_by_day",
                        money_by_day_chart(
                            found.by_day, "wasted", "Wasted", lens.currency, colour=WARM
                        ),
                        "Spend on failed and repeated calls of each day as columns.",
                        found.by_day,
                    )
                ],
            ),
            Section(
                "Where",
                tables=[
                    Rows(found.by_team, lambda row: asked.of("team", row["team"]).url("/waste")),
                    Rows(found.by_model, lambda row: asked.of("model", row["model"]).url("/waste")),
                    Rows(found.by_status, empty="No call failed, and none was repeated."),
                ],
            ),
        ],
    )
