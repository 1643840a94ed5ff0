"""`/`: what was spent, against what, and by whom."""

from __future__ import annotations

from decimal import Decimal

from reports.charts.days import spend_by_day_chart
from reports.figures.lens import Lens
from reports.figures.overview import overview
from reports.figures.period import Period
from reports.figures.standing import NEARLY, alert_counts, budgets
from reports.page.alerts import NO_BUDGETS
from reports.page.asked import Asked
from reports.page.content import Chart, Content, Rows, Section
from sinks.clickhouse import ClickHouse

BUDGETS = 10


def overview_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    found = overview(clickhouse, lens)
    counts = alert_counts(clickhouse, lens)
    sections = [
        Section(
            "Spend",
            figures=[
                found.totals["spend"],
                *found.compared.values(),
                *found.pace.values(),
                *(found.totals[name] for name in ("calls", "tokens", "users", "not_in_cost")),
            ],
            links={"What the spend is made of": asked.url("/explain")},
        ),
        Section(
            "Day by day",
            charts=[
                Chart(
                    "spend_by_day",
                    spend_by_day_chart(found.by_day, lens.currency),
                    "Spend of each day as columns.",
                    found.by_day,
                )
            ],
        ),
        Section(
            "Budgets",
            tables=[Rows(budgets(clickhouse, lens, brief=True, limit=BUDGETS), empty=NO_BUDGETS)],
            notes=[
                f"Single users are listed from {Decimal(NEARLY) * 100:.0f} % of their limit on."
            ],
            links={"All budgets": asked.url("/alerts")},
        ),
        Section(
            "Teams that cost most",
            tables=[
                Rows(found.top_teams, lambda row: asked.of("team", row["team"]).url("/attribution"))
            ],
        ),
        Section(
            "Alerts",
            figures=list(counts.values()),
            links={"All alerts and reviews": asked.url("/alerts")},
        ),
    ]
    notices, links = [], {}
    if not found.totals["calls"].value:
        notices.append(f"There are no calls in this period, {lens.period} (UTC).")
        if (newest := found.newest_day) is not None:
            month = Period.month_of(newest)
            notices.append(f"The newest calls are of {newest}.")
            links[f"Show {month.first:%B %Y}"] = asked.during(month).url("/")
        elif not asked.scope:
            notices.append("There are none at all yet: docs/producers.md says how to send them.")
    return Content("Overview", sections, notices, links=links)
