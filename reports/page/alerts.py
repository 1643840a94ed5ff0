"""`/alerts`: what is open, and what was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.figures.lens import Lens
from reports.figures.standing import alerts, budgets
from reports.page.asked import Asked
from reports.page.content import AlertCard, Content, Rows, Section
from reports.page.words import amount
from sinks.clickhouse import ClickHouse


def alerts_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    found = alerts(clickhouse, lens)
    cards = [_card(row, lens) for row in found.open.records()]
    return Content(
        "Alerts and reviews",
        [
            Section(
                "Open now",
                lead="Whatever the period above.",
                figures=list(found.counts.values()),
                notes=[] if cards else ["Nothing is open."],
                alerts=cards,
            ),
            Section("Budgets", tables=[Rows(budgets(clickhouse, lens), empty=NO_BUDGETS)]),
            Section("In this period", tables=[Rows(found.history, empty="No alert changed.")]),
        ],
    )


NO_BUDGETS = (
    "There is no budget here, or the guard has not written where it stands: "
    "`spendstream budgets check` reads the file."
)


def _card(row: Mapping[str, Any], lens: Lens) -> AlertCard:
    value, limit = row["value"], row["limit"]
    figure = "–" if value is None else amount(value, row["unit"])
    if limit is not None:
        figure += f", limit {amount(limit, row['unit'])}"
    state = row["transition"]
    return AlertCard(
        alert_id=row["alert_id"],
        title=row["title"],
        detail=row["detail"],
        severity=row["severity"],
        state="review: " * bool(row["review"]) + str(state),
        figure=figure,
        whose=row["whose"],
        since=f"{row['since']:%Y-%m-%d %H:%M}",
        by=row["by"] if state == "acknowledged" else None,
        may_acknowledge=lens.viewer.may_acknowledge and state != "acknowledged",
    )
