"""Is archive = ledger = guard? Per source partition and month, to the last digit.

Archive and ledger are compared up to a bound that is asked for once: the end of the last journal
range that the archive covers too. What lies before it does not change any more, so the answer is
exact while events flow. The guard is compared as of its own journal position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.journal import TRUE_UP, SourcePartition
from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from streams.guard.money import pico, usd


@dataclass(frozen=True, slots=True)
class Figures:
    """What is compared: calls, tokens of all buckets, and cost in pico-dollars."""

    calls: int = 0
    tokens: int = 0
    cost: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.calls + other.calls, self.tokens + other.tokens, self.cost + other.cost)


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """What is compared apart: a source partition, and a month (UTC) of event time.

    ``month`` is empty where the copy does not keep months apart (the guard's totals)."""

    partition: SourcePartition
    month: str = ""

    def __str__(self) -> str:
        return f"{self.partition} {self.month}".rstrip()


@dataclass(frozen=True, slots=True)
class Difference:
    """Two copies that do not agree on one figure of one cell."""

    cell: Cell
    figure: str
    copies: tuple[str, str]
    values: tuple[int, int]

    def __str__(self) -> str:
        (left, right), (a, b) = self.copies, self.values
        if self.figure == "cost":
            return f"{self.cell} cost: {left} {_usd(a)}, {right} {_usd(b)}, {_usd(a - b)} more"
        return f"{self.cell} {self.figure}: {left} {a:,}, {right} {b:,}, {a - b:+,}"


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a partition is compared: entries up to ``position``, offsets up to ``through``."""

    journal: str
    partition: SourcePartition
    position: int
    through: int

    def as_tuple(self) -> tuple[str, str, int, int, int]:
        """As `BOUNDS` takes it."""
        key = self.partition
        return (self.journal, key.source, key.partition, self.position, self.through)


BOUNDS = """
    SELECT b.1 AS journal, b.2 AS source, b.3 AS partition, b.4 AS position, b.5 AS through
    FROM (SELECT arrayJoin({bounds:Array(Tuple(String, String, Int32, Int64, Int64))}) AS b)
"""
"""The given bounds as rows."""
_TOKENS = " + ".join(BUCKET_NAMES)
_ARCHIVE_TOKENS = " + ".join(f"ifNull({name}, 0)" for name in BUCKET_NAMES)
_BOUNDS_NOW = """
    SELECT journal, l.source AS source, l.partition AS partition,
           max(l.position) AS position, max(l.through) AS through
    FROM ledger_progress AS l
    INNER JOIN (SELECT source, partition, max(through) AS landed
                FROM archive_progress GROUP BY source, partition) AS a
    ON l.source = a.source AND l.partition = a.partition
    WHERE l.accepted AND l.through <= a.landed
    GROUP BY journal, source, partition
"""
IS_ADJUSTMENT = "(journal, position) IN (SELECT journal, position FROM adjustments)"
"""Of a row of `spend`."""
LEDGER_SQL = f"""
    SELECT source, partition, month, sum(calls), sum(tokens), sum(cost)
    FROM (
        SELECT s.source AS source, s.partition AS partition,
               formatDateTime(minute, '%Y-%m', 'UTC') AS month,
               calls, {_TOKENS} AS tokens, ifNull(cost, 0) AS cost
        FROM (SELECT * FROM spend WHERE NOT {IS_ADJUSTMENT}) AS s INNER JOIN ({BOUNDS}) AS b
        ON s.journal = b.journal AND s.source = b.source AND s.partition = b.partition
        WHERE s.position <= b.position
        UNION ALL
        SELECT s.source, s.partition, formatDateTime(minute, '%Y-%m', 'UTC') AS month,
               calls, {_TOKENS} AS tokens, ifNull(cost, 0) AS cost
        FROM (SELECT * FROM spend WHERE {IS_ADJUSTMENT}) AS s
        INNER JOIN adjustments AS a ON s.journal = a.journal AND s.position = a.position
        INNER JOIN (SELECT source, partition, max(through) AS upto FROM ({BOUNDS})
                    GROUP BY source, partition) AS b
        ON s.source = b.source AND s.partition = b.partition
        WHERE a.through <= b.upto AND a.reason != '{TRUE_UP}'
    )
    GROUP BY source, partition, month
"""
"""Adjustments count with the offsets that they correct, however late they were appended. A true-up
corrects none: there is nothing in the archive that it could be compared with."""
ARCHIVE_SQL = f"""
    SELECT u.source, u.partition, formatDateTime(occurred_at, '%Y-%m', 'UTC') AS month,
           sum(sign), sum(sign * ({_ARCHIVE_TOKENS})), sum(toInt128(ifNull(cost_pico, 0)))
    FROM (SELECT *, if(kind = 'void', -1, 1) AS sign FROM usage_events FINAL) AS u
    INNER JOIN (SELECT source, partition, max(through) AS upto FROM ({BOUNDS})
                GROUP BY source, partition) AS b
    ON u.source = b.source AND u.partition = b.partition
    WHERE u.offset <= b.upto
    GROUP BY u.source, u.partition, month
"""
GUARD_SQL = """
    SELECT source, partition, sum(calls), sum(cost) FROM spend
    WHERE journal != {journal:String} OR position <= {position:Int64}
    GROUP BY source, partition
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Archive against ledger: what was compared, how far, and where they differ."""

    compared: Figures
    bounds: tuple[Bound, ...]
    differences: tuple[Difference, ...]


def bounds_now(clickhouse: ClickHouse) -> tuple[Bound, ...]:
    """How far both archive and ledger have come. Raises ClickHouseError."""
    return tuple(
        Bound(journal, SourcePartition(source, int(partition)), int(position), int(through))
        for journal, source, partition, position, through in clickhouse.query(_BOUNDS_NOW)
    )


def compare_archive(clickhouse: ClickHouse) -> Comparison:
    """Compare archive and ledger. Raises ClickHouseError."""
    bounds = bounds_now(clickhouse)
    if not bounds:
        return Comparison(Figures(), (), ())
    upto = {"bounds": [bound.as_tuple() for bound in bounds]}
    ledger = {
        Cell(SourcePartition(source, int(partition)), month): Figures(
            int(calls), int(tokens), pico(cost)
        )
        for source, partition, month, calls, tokens, cost in clickhouse.query(LEDGER_SQL, upto)
    }
    archive = {
        Cell(SourcePartition(source, int(partition)), month): Figures(
            int(calls), int(tokens), int(cost)
        )
        for source, partition, month, calls, tokens, cost in clickhouse.query(ARCHIVE_SQL, upto)
    }
    compared = sum(ledger.values(), Figures())
    return Comparison(compared, bounds, tuple(_differences("archive", archive, ledger)))


def compare_guard(clickhouse: ClickHouse, guard: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Compare the guard's `/v1/state` with the ledger as of its position."""
    at = {"journal": guard["journal"], "position": int(guard["position"])}
    ledger = {
        Cell(SourcePartition(source, int(partition))): Figures(int(calls), 0, pico(cost))
        for source, partition, calls, cost in clickhouse.query(GUARD_SQL, at)
    }
    guarded = {
        Cell(SourcePartition(part["source"], int(part["partition"]))): Figures(
            int(part["calls"]), 0, int(part["cost_pico_usd"])
        )
        for part in guard["partitions"]
    }
    return tuple(_differences("guard", guarded, ledger))


def _differences(
    name: str, copy: Mapping[Cell, Figures], ledger: Mapping[Cell, Figures]
) -> Sequence[Difference]:
    nothing = Figures()
    return [
        Difference(cell, figure, (name, "ledger"), (theirs, ours))
        for cell in sorted(ledger.keys() | copy.keys())
        for figure in ("calls", "tokens", "cost")
        if (theirs := getattr(copy.get(cell, nothing), figure))
        != (ours := getattr(ledger.get(cell, nothing), figure))
    ]


def _usd(amount: int) -> str:
    return f"${usd(amount):f}"
