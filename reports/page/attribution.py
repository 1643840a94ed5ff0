"""`/attribution`: who spends, one level at a time, down to a user and the models they call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.charts.days import spend_by_day_chart
from reports.charts.parts import parts_chart
from reports.figures.attribution import LEVELS, Attribution, attribution
from reports.figures.lens import Lens
from reports.page.asked import Asked
from reports.page.content import Chart, Content, Crumb, Rows, Section
from reports.page.filters import title_of
from sinks.clickhouse import ClickHouse

PATH = "/attribution"


def attribution_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    found = attribution(clickhouse, lens)
    words = title_of(found.level).lower()
    parts = Section(
        f"By {words}",
        charts=[
            Chart(
                f"by_{found.level}",
                parts_chart(found.parts, found.level, "spend", lens.currency),
                f"Spend by {words}, the dearest first.",
                found.parts,
                below=True,
            )
        ],
        tables=[Rows(found.parts, _down(found, asked))],
    )
    days = Section(
        "Day by day",
        charts=[
            Chart(
                "spend_by_day",
                spend_by_day_chart(found.by_day, lens.currency),
                "Spend of each day as columns.",
                found.by_day,
            )
        ],
    )
    beside = Section(
        "By what else",
        tables=[Rows(table, _narrow(table.columns[0].name, asked)) for table in found.beside],
    )
    return Content(
        "Attribution",
        [
            Section(
                "Spend",
                figures=list(found.totals.values()),
                links={"What the spend is made of": asked.url("/explain")},
            ),
            parts,
            days,
            beside,
        ],
        crumbs=list(_crumbs(lens, asked)),
    )


def _crumbs(lens: Lens, asked: Asked) -> Iterator[Crumb]:
    """The way from everybody down to here; levels that nothing was chosen of are left out."""
    above = Asked(
        asked.today,
        asked.period,
        {name: names for name, names in asked.scope.items() if name not in LEVELS},
        asked.currency,
    )
    way = [level for level in LEVELS if level in lens.scope]
    yield Crumb("Everybody", above.url(PATH) if way else None)
    for level in way:
        names = lens.scope[level]
        text = f"{title_of(level)} {' or '.join(name or 'none' for name in names)}"
        above = Asked(asked.today, asked.period, {**above.scope, level: names}, asked.currency)
        yield Crumb(text, above.url(PATH) if level != way[-1] else None)


def _down(found: Attribution, asked: Asked) -> Any:
    return _narrow(found.level, asked)


def _narrow(dimension: str, asked: Asked) -> Any:
    def link(row: Mapping[str, Any]) -> str:
        return asked.of(dimension, row[dimension]).url(PATH)

    return link
