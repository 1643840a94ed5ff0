"""`/explain`: a spend, down to prices, entries of the journal and events."""

from __future__ import annotations

from reports.figures.archive import small_enough
from reports.figures.event import event
from reports.figures.explain import explain
from reports.figures.lens import Lens
from reports.page.asked import Asked
from reports.page.content import Content, Rows, Section
from reports.page.prompts import too_many
from sinks.clickhouse import ClickHouse


def explain_page(clickhouse: ClickHouse, lens: Lens, asked: Asked) -> Content:
    """Raises ClickHouseError."""
    if asked.event is not None:
        return _event(clickhouse, lens, asked, asked.event)
    found = explain(clickhouse, lens, archive=small_enough(clickhouse, lens))
    archived = list((found.archive or {}).values())
    events = (
        []
        if found.events is None
        else [
            Rows(
                found.events,
                lambda row: asked.event_url("/explain", row["event_id"]),
                empty="No call cost anything.",
            )
        ]
    )
    return Content(
        "What the spend is made of",
        [
            Section(
                "Two copies of the money",
                lead="Of the period and the scope above, in USD.",
                figures=[*found.ledger.values(), *archived],
            ),
            Section("Prices", tables=[Rows(found.by_price)]),
            Section(
                "Journal",
                tables=[
                    Rows(found.by_journal),
                    Rows(found.corrections, empty="Nothing was corrected."),
                ],
            ),
            Section("Events", notes=[] if events else [too_many()], tables=events),
        ],
        links={"Who spent it": asked.url("/attribution")},
    )


def _event(clickhouse: ClickHouse, lens: Lens, asked: Asked, name: str) -> Content:
    found = event(clickhouse, lens, name)
    back = {"Back to the spend": asked.url("/explain")}
    if not found.fields.rows:
        return Content(
            "An event", [], ["There is no such event, or you may not see it."], links=back
        )
    return Content(
        "An event",
        [
            Section("What it says", tables=[Rows(found.fields)]),
            Section("Who counted it", tables=[Rows(found.ledger, empty="Nobody has yet.")]),
        ],
        links=back,
    )
