"""What a spend is made of: prices, entries of the journal, corrections, and its dearest events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures.ask import figures, key, table
from reports.figures.figure import Column, Figure, Measure, Table
from reports.figures.lens import Lens, within
from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse

_SPEND = Measure(
    "ledger_spend",
    "Spend in the ledger",
    "usd",
    "sum(cost)",
    "The sum over the ledger itself, by minutes; in USD, as it was rated.",
)
_ARCHIVED = Measure(
    "archive_spend",
    "Spend in the archive",
    "usd",
    "sum(cost)",
    "The sum over single events, kept apart from the ledger. They differ while events are on their "
    "way, by true-ups to an invoice, and where `spendstream reconcile` finds why.",
)
_CALLS = Measure("calls", "Calls", "count", "sum(calls)", "", "calls")
_USD = Measure("usd", "Spend, USD", "usd", "sum(cost)", "")
_EVENTS = (
    Column("event_id", "Event", "text", key=True),
    Column("occurred_at", "Answered, UTC", "moment"),
    Column("team", "Team", "text"),
    Column("application", "Application", "text"),
    Column("provider", "Provider", "text"),
    Column("model", "Model", "text"),
    Column("tokens", "Tokens", "count", "tokens"),
    Column("cost", "Cost, USD", "usd", "USD"),
)
_OF_CORRECTIONS = ("team", "application", "provider", "model")
_TOKENS = " + ".join(f"ifNull({name}, 0)" for name in BUCKET_NAMES)
ROWS = 20


@dataclass(frozen=True, slots=True)
class Explained:
    """``archive`` and ``events`` are None where the archive has too many calls for a page."""

    ledger: Mapping[str, Figure]
    archive: Mapping[str, Figure] | None
    by_price: Table
    by_journal: Table
    corrections: Table
    events: Table | None


def explain(clickhouse: ClickHouse, lens: Lens, *, archive: bool) -> Explained:
    """Raises ClickHouseError."""
    minutes = lens.where(within("minute"), time="")
    events = lens.where(within("occurred_at"), time="")
    return Explained(
        figures(clickhouse, lens, [_SPEND], source="spend", where=minutes),
        figures(clickhouse, lens, [_ARCHIVED], source="usage", where=events) if archive else None,
        table(
            clickhouse,
            lens,
            "by_price",
            "By price",
            keys=[key("provider"), key("model"), key("rating"), key("price_ref", "Price")],
            measures=[_CALLS, _USD],
            order="6 DESC NULLS LAST, 5 DESC, 1, 2, 3, 4",
            source="spend",
            where=minutes,
            limit=ROWS,
            definition="Each price that was applied, as the ledger has it; none: no price, or no "
            "tokens, was known. `spendstream prices history` shows what it says.",
        ),
        table(
            clickhouse,
            lens,
            "by_journal",
            "By journal",
            keys=[key("journal")],
            measures=[
                Measure("entries", "Entries", "count", "uniqExact(position)", ""),
                Measure("first_position", "First position", "count", "min(position)", ""),
                Measure("last_position", "Last position", "count", "max(position)", ""),
                Measure("newest", "Newest recorded, UTC", "moment", "max(recorded_at)", ""),
                _USD,
            ],
            order="1",
            source="spend",
            where=minutes,
            definition="The entries of the spend journal that the money came by: any position can "
            "be asked as of.",
        ),
        table(
            clickhouse,
            lens,
            "corrections",
            "Corrections",
            keys=[key("adjustment_id", "Correction"), key("reason")],
            measures=[_CALLS, _USD],
            order="4 DESC NULLS LAST, 1, 2",
            source="adjusted_spend",
            where=lens.where(within("minute"), time="", columns=_OF_CORRECTIONS),
            limit=ROWS,
            definition="What repricing, true-ups and reconciliation changed later; it is part of "
            "the spend above. Narrowed by team, application, provider and model only.",
        ),
        _dearest(clickhouse, lens, events) if archive else None,
    )


def _dearest(clickhouse: ClickHouse, lens: Lens, where: str) -> Table:
    query = lens.query(
        f"SELECT event_id, occurred_at, team, application, provider, model, {_TOKENS}, cost "
        f"FROM usage WHERE {where} AND cost IS NOT NULL AND cost != 0 "
        f"ORDER BY abs(cost) DESC, event_id LIMIT {ROWS}"
    )
    return Table(
        "dearest_events",
        "The dearest events",
        _EVENTS,
        tuple(query.rows(clickhouse)),
        "Single calls; `spendstream explain event ID` goes on from here, to the rates and the "
        "place in the log.",
        query.text,
    )
