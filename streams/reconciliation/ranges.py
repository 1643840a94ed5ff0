"""Which journal ranges archive and ledger differ in, and the rows that would make them equal.

A range is what one journal entry counted of one partition: offsets from ``start`` to ``through``.
Its rows in the ledger, with the adjustments of these offsets, must be the rollup of the archived
events at these offsets. The difference of the two, attribution by attribution, is what an
adjustment would have to add.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from schemas.journal import DIMENSIONS, ROW_SCHEMA, TRUE_UP, SourcePartition
from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from streams.guard.money import pico
from streams.reconciliation.figures import BOUNDS, Bound, Figures
from streams.reconciliation.sides import (
    EVENTS,
    REPRICING,
    SUMS,
    UNRATED,
    archived_columns,
    counted_columns,
)


@dataclass(frozen=True, slots=True)
class RangeDifference:
    """A range in which archive and ledger differ. Figures are archive minus ledger.

    ``events``, ``duplicates``, ``lost``: as its journal entry counted them; ``unarchived``: how
    many of its offsets retention removed before they were archived; ``adjustments``: how many
    corrections it has already.
    """

    partition: SourcePartition
    start: int
    through: int
    figures: Figures
    rows: pa.Table
    events: int
    duplicates: int
    lost: int
    unarchived: int
    adjustments: int

    def __str__(self) -> str:
        return f"{self.partition} offsets {self.start:,} to {self.through:,}"


_KEY = ("source", "partition", "start", "through")
_RANGES = f"""
    SELECT p.journal AS journal, p.position AS position, p.source AS source,
           p.partition AS partition, p.start AS start, p.through AS through
    FROM ledger_progress AS p INNER JOIN ({BOUNDS}) AS b
    ON p.journal = b.journal AND p.source = b.source AND p.partition = b.partition
    WHERE p.accepted AND p.position <= b.position
"""
_ADJUSTED = f"""
    SELECT {counted_columns("r", _KEY)}
    FROM spend AS s INNER JOIN adjustments AS r
    ON s.journal = r.journal AND s.position = r.position
    INNER JOIN (SELECT source, partition, max(through) AS upto FROM ({BOUNDS})
                GROUP BY source, partition) AS b
    ON r.source = b.source AND r.partition = b.partition
    WHERE r.through <= b.upto AND r.reason != '{TRUE_UP}'
"""
_ROW = ", ".join((*_KEY, "minute", *DIMENSIONS))
_AMOUNTS = ", ".join(f"sum(d.{name}) AS {name}" for name in (*SUMS, "amount", "charged"))
_SOMETHING = " OR ".join(f"sum(d.{name}) != 0" for name in (*SUMS, "amount", "charged"))
_COUNTS_DIFFER = " OR ".join(f"sum({name}) OVER unrated != 0" for name in (*SUMS, "charged"))
_LEFT = " OR ".join(f"sum({name}) OVER moved != 0" for name in (*SUMS, "amount", "charged"))


def _grouped(rows: str) -> str:
    return f"""
    SELECT {_ROW}, {_AMOUNTS}, max(d.is_charged) AS is_charged
    FROM ({rows}) AS d
    GROUP BY {_ROW}
    HAVING {_SOMETHING}
    """


_BY_RANGE = _grouped(
    f"""
    SELECT {archived_columns("r", _KEY)}
    FROM {EVENTS} AS u
    ASOF INNER JOIN ({_RANGES}) AS r
    ON u.source = r.source AND u.partition = r.partition AND u.offset >= r.start
    WHERE u.offset <= r.through
    UNION ALL
    SELECT {counted_columns("r", _KEY)}
    FROM spend AS s INNER JOIN ({_RANGES}) AS r
    ON s.journal = r.journal AND s.position = r.position
       AND s.source = r.source AND s.partition = r.partition
    UNION ALL
    {_ADJUSTED} AND r.reason != '{REPRICING}'
    """
)
_REPRICED = _grouped(f"{_ADJUSTED} AND r.reason = '{REPRICING}'")
_DIFFERENCES = f"""
    SELECT {_ROW}, {", ".join(SUMS)}, if(rating = 'priced', amount, NULL),
           if(is_charged, charged, NULL)
    FROM (
        SELECT *, {_LEFT} AS left_over
        FROM (
            SELECT *, {_COUNTS_DIFFER} AS counts_differ FROM ({_BY_RANGE})
            WINDOW unrated AS (PARTITION BY {", ".join((*_KEY, "minute", *UNRATED))})
            UNION ALL
            SELECT *, false AS counts_differ FROM ({_REPRICED})
        )
        WINDOW moved AS (PARTITION BY counts_differ, source, partition, minute,
                                      {", ".join(DIMENSIONS)})
    )
    WHERE counts_differ OR left_over
    ORDER BY {", ".join(_KEY)}
"""
"""Repricing moves calls from one price to another in many ranges by one adjustment. So where the
calls and tokens of a range agree, and only their prices differ, the ranges of a partition are taken
together with what repricing has moved, row by row; what is equal then, agrees."""
_COUNTS = f"""
    SELECT p.source, p.partition, p.start, any(p.events), any(p.duplicates), any(p.lost),
           any(a.made)
    FROM ledger_progress AS p INNER JOIN ({BOUNDS}) AS b
    ON p.journal = b.journal AND p.source = b.source AND p.partition = b.partition
    LEFT JOIN (SELECT source, partition, start, count() AS made FROM adjustments
               WHERE reason != '{TRUE_UP}' GROUP BY source, partition, start) AS a
    ON p.source = a.source AND p.partition = a.partition AND p.start = a.start
    WHERE p.accepted AND (p.source, p.partition, p.start) IN
        (SELECT k.1, k.2, k.3 FROM
         (SELECT arrayJoin({{keys:Array(Tuple(String, Int32, Int64))}}) AS k))
    GROUP BY p.source, p.partition, p.start
"""
_UNCOUNTED = (0, 0, 0, 0)
"""Of the offsets of a repricing, which are those of no journal entry."""
_UNARCHIVED = """
    SELECT DISTINCT start, through, lost FROM archive_progress
    WHERE source = {source:String} AND partition = {partition:Int32} AND lost > 0
"""


def differing_ranges(
    clickhouse: ClickHouse, bounds: Collection[Bound], partitions: Collection[SourcePartition]
) -> list[RangeDifference]:
    """The ranges of these partitions in which archive and ledger differ. Raises ClickHouseError."""
    upto = [bound.as_tuple() for bound in bounds if bound.partition in partitions]
    if not upto:
        return []
    rows = clickhouse.query(_DIFFERENCES, {"bounds": upto})
    names = (*_KEY, "minute", *DIMENSIONS, *SUMS, "cost", "provider_cost")
    by_range = [
        (key, [dict(zip(names, row, strict=True)) for row in group])
        for key, group in groupby(rows, key=lambda row: tuple(row[:4]))
    ]
    keys = [(source, partition, start) for (source, partition, start, _), _ in by_range]
    counts = {
        (source, partition, start): tuple(map(int, rest))
        for source, partition, start, *rest in clickhouse.query(
            _COUNTS, {"bounds": upto, "keys": keys}
        )
    }
    unarchived = dict(_unarchived(clickhouse, {(s, p) for s, p, _ in keys}))
    return [
        _difference(key, found, counts.get(key[:3], _UNCOUNTED), unarchived[key[:2]])
        for key, found in by_range
    ]


def _unarchived(
    clickhouse: ClickHouse, partitions: Collection[tuple[str, int]]
) -> Iterator[tuple[tuple[str, int], Sequence[tuple[int, int]]]]:
    """Per partition, the offsets (first, last) that retention removed before they were archived."""
    for source, partition in partitions:
        rows = clickhouse.query(_UNARCHIVED, {"source": source, "partition": partition})
        yield (
            (source, partition),
            [(int(start), int(start) + int(lost) - 1) for start, _, lost in rows],
        )


def _difference(
    key: Any,
    found: Sequence[dict[str, Any]],
    counts: tuple[int, ...],
    unarchived: Sequence[tuple[int, int]],
) -> RangeDifference:
    source, partition, start, through = key
    events, duplicates, lost, made = counts
    figures = Figures(
        sum(row["calls"] for row in found),
        sum(row[name] for row in found for name in BUCKET_NAMES),
        sum(pico(row["cost"]) for row in found),
    )
    gone = sum(max(0, min(last, through) - max(first, start) + 1) for first, last in unarchived)
    return RangeDifference(
        SourcePartition(source, int(partition)),
        int(start),
        int(through),
        figures,
        pa.Table.from_pylist(list(found), schema=ROW_SCHEMA),
        events,
        duplicates,
        lost,
        gone,
        made,
    )
