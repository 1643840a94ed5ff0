"""The guard's copy of the ledger's totals per source partition, and what retention took away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from schemas.alerts import Alert
from schemas.journal import SourcePartition
from sinks.clickhouse import ClickHouse
from streams.guard.concern import Accepted, AsOf
from streams.guard.money import pico


class Totals:
    """Calls and pico-dollars per source partition: what `reconcile` compares with the ledger."""

    name = "totals"

    def __init__(self) -> None:
        self.calls: dict[SourcePartition, int] = {}
        self.cost: dict[SourcePartition, int] = {}
        self._losses: dict[tuple[SourcePartition, int], int] = {}

    def fresh(self) -> Totals:
        """The same with nothing counted yet."""
        return Totals()

    def remember(self, alert: Alert) -> None:
        """Nothing: what is lost is named by where it was."""

    def load(self, clickhouse: ClickHouse, at: AsOf, now: datetime) -> None:
        """Sums of the ledger as of the position, and the ranges that lost events."""
        for source, partition, calls, cost in clickhouse.query(
            "SELECT source, partition, sum(calls), sum(cost) FROM spend "
            f"WHERE {AsOf.SQL} GROUP BY source, partition",
            at.parameters,
        ):
            key = SourcePartition(source, int(partition))
            self.calls[key], self.cost[key] = int(calls), pico(cost)
        for source, partition, start, lost in clickhouse.query(
            "SELECT source, partition, start, lost FROM ledger_progress "
            f"WHERE accepted AND lost > 0 AND {AsOf.SQL}",
            at.parameters,
        ):
            self._losses[SourcePartition(source, int(partition)), int(start)] = int(lost)

    def apply(self, entry: Accepted) -> None:
        """Add an entry's rows to their partitions."""
        for covered in entry.ranges:
            if covered.lost:
                self._losses[covered.key, covered.start] = covered.lost
        sums = entry.rows.group_by("partition").agg(pl.col("calls").sum(), pl.col("cost").sum())
        for partition, calls, cost in sums.iter_rows():
            key = SourcePartition(entry.source, partition)
            self.calls[key] = self.calls.get(key, 0) + calls
            self.cost[key] = self.cost.get(key, 0) + pico(cost)

    def alerts(self, at: AsOf, now: datetime) -> Sequence[Alert]:
        """One critical alert for each range that lost events."""
        return [
            _lost(key, start, lost, at, now) for (key, start), lost in sorted(self._losses.items())
        ]

    def counters(self) -> Mapping[str, int]:
        """Calls and cost of each partition."""
        return {
            f"{what} {key}": value
            for what, counts in (("calls", self.calls), ("cost", self.cost))
            for key, value in counts.items()
        }


def _lost(key: SourcePartition, start: int, lost: int, at: AsOf, now: datetime) -> Alert:
    return Alert(
        rule="events_lost",
        scope={"source": key.source, "partition": str(key.partition)},
        period=f"offset {start}",
        threshold="0",
        transition="opened",
        severity="critical",
        title=f"{lost:,} usage events were lost to retention",
        detail=(
            f"Offsets {start} to {start + lost - 1} of {key} were removed by the topic's "
            "retention before they could be metered. The ledger counts them as lost."
        ),
        action="Keep the usage topic longer than the meter may be away, and find out why it was.",
        value=None,
        since=now,
        at=now,
        journal=at.journal,
        position=at.position,
    )
