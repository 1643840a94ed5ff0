"""`/quality`: what the figures do not know."""

from __future__ import annotations

from reports.figures.lens import Lens
from reports.figures.quality import quality
from reports.page.asked import Asked
from reports.page.content import Content, Rows, Section
from sinks.clickhouse import ClickHouse


def quality_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    found = quality(clickhouse, lens)
    sections = [
        Section("Known cost", figures=list(found.totals.values())),
        Section(
            "Charged to nobody in particular",
            figures=list(found.unattributed.values()),
        ),
        Section(
            "Where",
            tables=[
                Rows(found.by_team, lambda row: asked.of("team", row["team"]).url("/quality")),
                Rows(found.unpriced_models, empty="Every model has a price."),
            ],
        ),
    ]
    if found.metering:
        sections.append(
            Section(
                "What became of events",
                lead="Of everybody, since ever: not narrowed by anything above.",
                figures=[*found.fresh.values(), *found.metering.values()],
            )
        )
    return Content("Data quality", sections)
