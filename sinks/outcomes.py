"""Outcomes in ClickHouse: each once, however often it is written; and how far they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from schemas.outcome import OutcomeEvent
from sinks.clickhouse import ClickHouse, arrow_table

_TEXTS = ("department", "team", "project", "use_case", "application", "environment")
_OUTCOMES = pa.schema(
    [
        ("outcome_id", pa.string()),
        ("occurred_at", pa.timestamp("us", "UTC")),
        ("of", pa.string()),
        ("workflow", pa.string()),
        ("name", pa.string()),
        ("value", pa.decimal128(38, 12)),
        *((name, pa.string()) for name in (*_TEXTS, "user", "customer")),
        ("tags", pa.map_(pa.string(), pa.string())),
        ("source", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("precedence", pa.uint64()),
        ("landed_at", pa.timestamp("ms", "UTC")),
    ]
)
_PROGRESS = pa.schema(
    [
        ("source", pa.string()),
        ("partition", pa.int32()),
        ("through", pa.int64()),
        ("refused", pa.int64()),
        ("landed_at", pa.timestamp("ms", "UTC")),
    ]
)
_OFFSET_BITS = 20
"""Of an offset, beside milliseconds since 1970: they tell records of one millisecond apart."""
_HIGHEST = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Reported:
    """An outcome and the record that it came by; ``timestamp`` in ms since 1970, below 0: none."""

    outcome: OutcomeEvent
    partition: int
    offset: int
    timestamp: int

    @property
    def precedence(self) -> int:
        """Higher for what was recorded earlier; the same whenever the record is read again."""
        low = self.offset & ((1 << _OFFSET_BITS) - 1)
        return _HIGHEST - ((max(0, self.timestamp) << _OFFSET_BITS) | low)


@dataclass(frozen=True, slots=True)
class Read:
    """How far a partition was read, and how many records of this part were no outcomes."""

    through: int
    refused: int = 0


class Outcomes:
    """The tables `outcomes` and `outcome_progress`, for one source (cluster id and topic).

    Every writer resumes at `next_offsets` and reads without a gap, so that the highest offset that
    progress shows is how far everything is here, whoever wrote it.
    """

    def __init__(self, clickhouse: ClickHouse, source: str) -> None:
        self._clickhouse = clickhouse
        self.source = source

    def next_offsets(self) -> dict[int, int]:
        """Per partition, the offset that is needed next."""
        rows = self._clickhouse.query(
            "SELECT partition, max(through) + 1 FROM outcome_progress "
            "WHERE source = {source:String} GROUP BY partition",
            {"source": self.source},
        )
        return {int(partition): int(following) for partition, following in rows}

    def write(self, reported: Sequence[Reported], read: Mapping[int, Read]) -> None:
        """Write outcomes, then ``read``, by partition. It can be repeated, also in other parts."""
        landed = datetime.now(UTC)
        if reported:
            rows = [self._row(one) | {"landed_at": landed} for one in reported]
            self._clickhouse.insert("outcomes", arrow_table(_OUTCOMES, rows))
        progress = [
            {
                "source": self.source,
                "partition": partition,
                "through": part.through,
                "refused": part.refused,
                "landed_at": landed,
            }
            for partition, part in sorted(read.items())
        ]
        if progress:
            self._clickhouse.insert("outcome_progress", arrow_table(_PROGRESS, progress))

    def _row(self, one: Reported) -> dict[str, object]:
        outcome = one.outcome
        return {
            **outcome.model_dump(exclude={"value", "tags"}),
            "value": outcome.amount,
            "tags": sorted((outcome.tags or {}).items()),
            "source": self.source,
            "partition": one.partition,
            "offset": one.offset,
            "precedence": one.precedence,
        }
