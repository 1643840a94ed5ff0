"""`/units`: what a business result costs."""

from __future__ import annotations

from reports.charts.parts import parts_chart
from reports.figures.lens import Lens
from reports.figures.units import units
from reports.page.asked import Asked
from reports.page.content import Chart, Content, Rows, Section
from sinks.clickhouse import ClickHouse


def units_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    found = units(clickhouse, lens)
    months = (
        "By whole months, in USD, and narrowed by department, team, project, use case and "
        "application only."
    )
    return Content(
        "Unit economics",
        [
            Section(
                "In short",
                figures=[
                    *found.users.values(),
                    *found.customers.values(),
                    *found.workflows.values(),
                ],
            ),
            Section(
                "Outcomes",
                lead="What a business result costs, all in. By whole months, in USD, and narrowed "
                "by department, team and use case only.",
                tables=[
                    Rows(found.by_outcome, empty="Nobody has reported an outcome of these months.")
                ],
            ),
            Section("Workflows", lead=months, tables=[Rows(found.by_workflow)]),
            Section(
                "Customers",
                charts=[
                    Chart(
                        "by_customer",
                        parts_chart(found.by_customer, "customer", "spend", lens.currency),
                        "Spend by customer served, the dearest first.",
                        found.by_customer,
                        below=True,
                    )
                ],
                tables=[Rows(found.by_customer, empty="No call names a customer.")],
            ),
            Section(
                "Users",
                tables=[
                    Rows(
                        found.users_by_department,
                        lambda row: asked.of("department", row["department"]).url("/units"),
                    )
                ],
            ),
        ],
    )
