"""The ledger in ClickHouse: writes accepted journal entries, and tells how far it got.

Rows first, then adjustments, progress last, each with a token that names the entry: what a crash
left half done is done again, and the half that was there is dropped by its token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from schemas.journal import Counted, Range, SourcePartition
from sinks.clickhouse import ClickHouse, arrow_table

_PROGRESS = pa.schema(
    [
        ("journal", pa.string()),
        ("position", pa.int64()),
        ("source", pa.string()),
        ("partition", pa.int32()),
        ("start", pa.int64()),
        ("through", pa.int64()),
        ("accepted", pa.bool_()),
        ("events", pa.int64()),
        ("unpriced", pa.int64()),
        ("duplicates", pa.int64()),
        ("conflicts", pa.int64()),
        ("refused", pa.int64()),
        ("lost", pa.int64()),
        ("appended_at", pa.timestamp("ms", "UTC")),
    ]
)


_ADJUSTMENTS = pa.schema(
    [
        ("adjustment_id", pa.string()),
        ("reason", pa.string()),
        ("journal", pa.string()),
        ("position", pa.int64()),
        ("source", pa.string()),
        ("partition", pa.int32()),
        ("start", pa.int64()),
        ("through", pa.int64()),
        ("note", pa.string()),
        ("recorded_at", pa.timestamp("ms", "UTC")),
    ]
)
_NOTHING = Range(source="", partition=-1, start=0, through=-1)


@dataclass(frozen=True, slots=True)
class LedgerProgress:
    """``position``: highest journal entry in the ledger, -1 for none. ``marks``: per partition, the
    next offset and the position of the entry that said so. ``adjusted``: ids of adjustments."""

    position: int
    marks: Mapping[SourcePartition, tuple[int, int]]
    adjusted: frozenset[str] = frozenset()


class Ledger:
    """The tables `spend` and `ledger_progress`, for one journal."""

    def __init__(self, clickhouse: ClickHouse, journal: str) -> None:
        self._clickhouse = clickhouse
        self.journal = journal

    def progress(self) -> LedgerProgress:
        """How far this journal is in the ledger."""
        journal = {"journal": self.journal}
        ((position,),) = self._clickhouse.query(
            "SELECT if(count() = 0, -1, max(position)) FROM ledger_progress "
            "WHERE journal = {journal:String}",
            journal,
        )
        # A sink may write between the two queries. With a mark beyond the position, a reader would
        # leave the entry in between out: neither loaded nor accepted.
        rows = self._clickhouse.query(
            "SELECT source, partition, max(through) + 1, max(position) FROM ledger_progress "
            "WHERE journal = {journal:String} AND accepted AND position <= {position:Int64} "
            "GROUP BY source, partition",
            {**journal, "position": int(position)},
        )
        marks = {SourcePartition(s, int(p)): (int(n), int(at)) for s, p, n, at in rows}
        ids = self._clickhouse.query(
            "SELECT adjustment_id FROM adjustments "
            "WHERE journal = {journal:String} AND position <= {position:Int64}",
            {**journal, "position": int(position)},
        )
        return LedgerProgress(int(position), marks, frozenset(str(name) for (name,) in ids))

    def write(
        self,
        position: int,
        ranges: Sequence[Range],
        counted: Counted,
        appended_at: datetime,
    ) -> None:
        """Write one entry: the rows of it that count, then what became of every range.

        A record that covers nothing is progress too: whoever waits for its position must see it.
        """
        token = f"{self.journal}@{position}"
        rows, adjustment = counted.rows, counted.adjustment
        if rows.num_rows:
            located = self._located(rows, position, counted.source, appended_at)
            self._clickhouse.insert("spend", located, token=token)
        if adjustment is not None:
            row = {
                **adjustment.model_dump(),
                "journal": self.journal,
                "position": position,
                "recorded_at": appended_at,
            }
            self._clickhouse.insert("adjustments", arrow_table(_ADJUSTMENTS, [row]), token=token)
        progress = [
            {
                **covered.model_dump(),
                "journal": self.journal,
                "position": position,
                "accepted": covered in counted.ranges,
                "appended_at": appended_at,
            }
            for covered in ranges or (_NOTHING,)
        ]
        self._clickhouse.insert("ledger_progress", arrow_table(_PROGRESS, progress), token=token)

    def _located(
        self, rows: pa.Table, position: int, source: str, appended_at: datetime
    ) -> pa.Table:
        size = rows.num_rows
        recorded = pa.scalar(appended_at, pa.timestamp("ms", "UTC"))
        return (
            rows.append_column("journal", pa.repeat(pa.scalar(self.journal), size))
            .append_column("position", pa.repeat(pa.scalar(position, pa.int64()), size))
            .append_column("source", pa.repeat(pa.scalar(source), size))
            .append_column("recorded_at", pa.repeat(recorded, size))
        )
