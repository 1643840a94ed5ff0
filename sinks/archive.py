"""The archive in ClickHouse: every usage event once, however often it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from schemas.dead_letters import Letter
from schemas.journal import SourcePartition
from sinks.clickhouse import ClickHouse, arrow_table
from sinks.dead_letters import DeadLetters
from sinks.id_groups import id_groups

_OFFSET_BITS = 48
"""Room for 2.8e14 offsets of a partition beside the rank of its source, in 64 bits."""
_HIGHEST = 2**64 - 1

_SOURCES = pa.schema(
    [("source", pa.string()), ("seq", pa.uint16()), ("first_seen", pa.timestamp("ms", "UTC"))]
)
_PROGRESS = pa.schema(
    [
        ("source", pa.string()),
        ("partition", pa.int32()),
        ("start", pa.int64()),
        ("through", pa.int64()),
        ("lost", pa.int64()),
        ("landed_at", pa.timestamp("ms", "UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class Landed:
    """Offsets of a partition that were read, refused ones included, both ends included.

    The first ``lost`` of them had been removed by retention before they could be read.
    """

    key: SourcePartition
    start: int
    through: int
    lost: int = 0


class Archive:
    """The tables `usage_events`, `archive_progress` and `sources`, for one source of usage.

    Every writer resumes at `next_offsets`, and writes each partition without a gap: so the highest
    offset that progress shows is how far the archive is complete, whoever wrote it.
    """

    def __init__(self, clickhouse: ClickHouse, source: str) -> None:
        self._clickhouse = clickhouse
        self.source = source

    def register_source(self) -> int:
        """Rank of this source by first appearance; makes it known where it is new."""
        for _ in range(2):
            rows = self._clickhouse.query(
                "SELECT min(seq) FROM sources WHERE source = {source:String} HAVING count() > 0",
                {"source": self.source},
            )
            if rows:
                return int(rows[0][0])
            ((rank,),) = self._clickhouse.query("SELECT uniqExact(source) FROM sources")
            row = {"source": self.source, "seq": rank, "first_seen": datetime.now(UTC)}
            self._clickhouse.insert("sources", arrow_table(_SOURCES, [row]), token=self.source)
        raise AssertionError("a source that was inserted is not there")

    def next_offsets(self) -> dict[int, int]:
        """Per partition, the offset that the archive needs next."""
        rows = self._clickhouse.query(
            "SELECT partition, max(through) + 1 FROM archive_progress "
            "WHERE source = {source:String} GROUP BY partition",
            {"source": self.source},
        )
        return {int(partition): int(following) for partition, following in rows}

    def earlier_ids(self, limit: int) -> frozenset[str]:
        """The newest event ids, up to ``limit``, that came by any other source than this one.

        They are what a broker that has forgotten everything can no longer tell as duplicates.
        """
        rows = self._clickhouse.query(
            "SELECT event_id FROM usage_events WHERE source != {source:String} "
            "ORDER BY landed_at DESC LIMIT {limit:UInt64}",
            {"source": self.source, "limit": limit},
        )
        return frozenset(str(event_id) for (event_id,) in rows)

    def places_of(self, event_ids: Sequence[str]) -> dict[str, tuple[str, int, int]]:
        """Where the events with these ids came from: source, partition, offset."""
        return {
            str(event_id): (source, int(partition), int(offset))
            for ids in id_groups(event_ids)
            for event_id, source, partition, offset in self._clickhouse.query(
                "SELECT event_id, source, partition, offset FROM usage_events FINAL "
                "WHERE event_id IN {ids:Array(String)}",
                {"ids": ids},
            )
        }

    def write(
        self,
        events: pa.Table,
        spans: Sequence[Landed],
        rank: int,
        refused: Sequence[Letter] = (),
    ) -> None:
        """Write events (columns of the usage frame, `partition`, `offset`, cost) and what was
        refused, then progress: ``spans``.
        """
        landed = datetime.now(UTC)
        if events.num_rows:
            size = events.num_rows
            base = _HIGHEST - (rank << _OFFSET_BITS)
            precedence = pa.compute.subtract(
                pa.scalar(base, pa.uint64()), events["offset"].cast(pa.uint64())
            )
            located = (
                events.append_column("source", pa.repeat(pa.scalar(self.source), size))
                .append_column("precedence", precedence)
                .append_column(
                    "landed_at", pa.repeat(pa.scalar(landed, pa.timestamp("ms", "UTC")), size)
                )
            )
            self._clickhouse.insert("usage_events", located)
        DeadLetters(self._clickhouse).record(refused)
        progress = [
            {
                "source": span.key.source,
                "partition": span.key.partition,
                "start": span.start,
                "through": span.through,
                "lost": span.lost,
                "landed_at": landed,
            }
            for span in spans
        ]
        if progress:
            self._clickhouse.insert("archive_progress", arrow_table(_PROGRESS, progress))
