"""Journal rows and ranges for tests of what lands in ClickHouse."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa

from schemas.journal import ROW_SCHEMA, Range
from schemas.tokens import BUCKET_NAMES
from streams.guard.concern import Accepted, AsOf

SOURCE = "cluster/llm.usage"
JOURNAL = "cluster/llm.spend"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def journal_row(**changes: Any) -> dict[str, Any]:
    """One row: a call of a dollar by team search, unless said otherwise."""
    return {
        "partition": 0,
        "minute": NOON,
        "team": "search",
        "provider": "own",
        "model": "unit",
        "kind": "usage",
        "usage_source": "reported",
        "rating": "priced",
        "is_retry": False,
        "is_shadow": False,
        "calls": 1,
        **dict.fromkeys(BUCKET_NAMES, 0),
        "cost": Decimal(1),
    } | changes


def journal_rows(*rows: dict[str, Any]) -> pa.Table:
    """A table of these rows; what a row leaves out is null."""
    return pa.Table.from_pylist(list(rows), schema=ROW_SCHEMA)


def covering(start: int, through: int, partition: int = 0, **counts: Any) -> Range:
    """A range of the tests' source."""
    return Range(source=SOURCE, partition=partition, start=start, through=through, **counts)


def accepted_entry(position: int, *rows: dict[str, Any], now: datetime | None = None) -> Accepted:
    """An entry with these rows, all of it accepted, as the guard's concerns get it.

    ``now`` is the newest of their minutes, or noon, unless said otherwise.
    """
    frame = pl.DataFrame(journal_rows(*rows))
    ranges = (covering(position, position),)
    now = now or max((row["minute"] for row in rows), default=NOON)
    return Accepted(AsOf(JOURNAL, position), SOURCE, ranges, frame, now)
