"""Waste: what calls cost that failed, or that were made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures.ask import figures, key, table
from reports.figures.figure import Figure, Measure, Table
from reports.figures.lens import Lens, within
from reports.figures.measures import CALLS, ratio, spent
from sinks.clickhouse import ClickHouse

WASTED = Measure(
    "wasted",
    "Wasted spend",
    "money",
    spent("wasted_cost", "wasted_calls"),
    "Spend on calls that failed (error, timeout, rate limit, cancelled) or repeated an earlier "
    "attempt; a failed retry counts once.",
)
_SHARE = Measure(
    "wasted_share",
    "Of the spend",
    "share",
    ratio(spent("wasted_cost", "wasted_calls"), spent()),
    "Wasted spend, of the whole spend.",
)
_WASTED_CALLS = Measure(
    "wasted_calls",
    "Failed or repeated calls",
    "count",
    "sum(wasted_calls)",
    "Calls that failed, or were an attempt after the first.",
    "calls",
)
_FAILED = Measure(
    "failed_calls",
    "Failed calls",
    "count",
    "sum(failed_calls)",
    "Calls that ended by error, timeout, rate limit or cancellation.",
    "calls",
)
_FAILED_SHARE = Measure(
    "failed_share",
    "Of calls",
    "share",
    ratio("sum(failed_calls)", "sum(calls)"),
    "Failed calls, of all calls.",
)
_FAILED_COST = Measure(
    "failed_cost",
    "Spend on failures",
    "money",
    spent("failed_cost", "failed_calls"),
    "Spend on failed calls.",
)
_RETRIES = Measure(
    "retries", "Retries", "count", "sum(retries)", "Attempts after the first.", "calls"
)
_RETRY_COST = Measure(
    "retry_cost",
    "Spend on retries",
    "money",
    spent("retry_cost", "retries"),
    "Spend on attempts after the first.",
)
_ROW = [WASTED, _SHARE, _FAILED, _FAILED_SHARE, _FAILED_COST, _RETRIES, _RETRY_COST, CALLS]


@dataclass(frozen=True, slots=True)
class Waste:
    """From the ledger by day; ``by_status`` from the ledger itself, as days do not know it."""

    totals: Mapping[str, Figure]
    by_day: Table
    by_team: Table
    by_model: Table
    by_status: Table


def waste(clickhouse: ClickHouse, lens: Lens) -> Waste:
    """Raises ClickHouseError."""
    return Waste(
        figures(
            clickhouse,
            lens,
            [WASTED, _SHARE, _WASTED_CALLS, _FAILED, _FAILED_COST, _RETRIES, _RETRY_COST],
        ),
        table(
            clickhouse,
            lens,
            "waste_by_day",
            "Wasted spend by day",
            keys=[key("day")],
            measures=[WASTED, _FAILED, _RETRIES],
            order="1",
            definition=WASTED.definition,
        ),
        _by(clickhouse, lens, "team"),
        _by(clickhouse, lens, "model"),
        by_status(clickhouse, lens),
    )


def _by(clickhouse: ClickHouse, lens: Lens, dimension: str) -> Table:
    return table(
        clickhouse,
        lens,
        f"waste_by_{dimension}",
        f"By {dimension}",
        keys=[key(dimension)],
        measures=_ROW,
        order="2 DESC NULLS LAST, 4 DESC, 1",
        limit=30,
        definition=f"{WASTED.definition} Most wasted first.",
    )


def by_status(clickhouse: ClickHouse, lens: Lens) -> Table:
    """How failed and repeated calls ended, in USD: the ledger has no other money."""
    wasted = "(is_retry OR status IN ('error', 'timeout', 'rate_limited', 'cancelled'))"
    return table(
        clickhouse,
        lens,
        "waste_by_status",
        "By status",
        keys=[key("status"), key("error_code", "Error code"), key("provider")],
        measures=[
            Measure("calls", "Calls", "count", "sum(calls)", "", "calls"),
            Measure("usd", "Spend, USD", "usd", "sum(cost)", ""),
        ],
        order="4 DESC, 1, 2, 3",
        source="spend",
        where=lens.where(within("minute"), wasted, time=""),
        limit=30,
        definition="Calls that failed or were repeated, by how they ended; a repeated attempt may "
        "have ended well. Most calls first.",
    )
