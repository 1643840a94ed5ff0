"""One event: what it says, how it was rated, where it stands in the log, and who counted it."""

from __future__ import annotations

from dataclasses import dataclass

from reports.figures.ask import key, table
from reports.figures.figure import Column, Measure, Table
from reports.figures.lens import Lens
from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse

_FIELDS = (
    "event_id", "occurred_at", "kind", "department", "team", "project", "use_case", "application",
    "environment", "user", "customer", "workflow", "provider", "model", "requested_model", "region",
    "service_tier", "status", "error_code", "attempt", "retry_of", "usage_source", *BUCKET_NAMES,
    "context_tokens", "prompt_hash", "served_from_cache", "routing_tier", "routing_reason",
    "shadow_of", "latency_ms", "rating", "price_ref", "cost", "provider_cost", "source",
    "partition", "offset", "landed_at",
)  # fmt: skip
_SHOWN = (Column("field", "Field", "text", key=True), Column("value", "Value", "text"))


@dataclass(frozen=True, slots=True)
class Event:
    """``fields`` has no rows where there is no such event that the viewer may see."""

    fields: Table
    ledger: Table


def event(clickhouse: ClickHouse, lens: Lens, event_id: str) -> Event:
    """Whatever the lens's period and scope are. Raises ClickHouseError."""
    one = f"event_id = {{event:String}} AND {lens.seen() or 'true'}"
    pairs = ", ".join(f"('{name}', toString({name}))" for name in _FIELDS)
    query = lens.query(
        f"SELECT pair.1, pair.2 FROM (SELECT arrayJoin([{pairs}]) AS pair FROM usage WHERE {one}) "
        "WHERE pair.2 IS NOT NULL",
        event=event_id,
    )
    same = "minute, team, provider, model, source, partition"
    of_event = same.replace("minute", "toStartOfMinute(occurred_at)")
    return Event(
        Table(
            "event",
            "The event",
            _SHOWN,
            tuple(query.rows(clickhouse)),
            "As it was archived, with the price that was applied; fields that it does not say are "
            "left out. `spendstream explain event ID` works out its cost bucket by bucket.",
            query.text,
        ),
        table(
            clickhouse,
            lens,
            "event_in_ledger",
            "The ledger of its minute",
            keys=[key("journal"), key("position"), key("rating"), key("price_ref", "Price")],
            measures=[
                Measure("calls", "Calls", "count", "sum(calls)", ""),
                Measure("usd", "Spend, USD", "usd", "sum(cost)", ""),
                Measure("recorded", "Recorded, UTC", "moment", "max(recorded_at)", ""),
            ],
            order="1, 2, 3, 4",
            source="spend",
            where=f"({same}) IN (SELECT {of_event} FROM usage WHERE {one}) "
            f"AND {lens.seen() or 'true'}",
            definition="The entries of the journal that counted calls of the same minute, team, "
            "model and partition: this event is one of them.",
            event=event_id,
        ),
    )
