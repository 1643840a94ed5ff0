"""Reconciliation: archive = ledger = guard, per source partition, to the last digit.

Archive and ledger are compared up to the end of the last journal range that the archive covers too,
so the answer is exact while events flow. The guard is compared as of its own journal position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.journal import SourcePartition
from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from streams.guard.money import pico, usd


@dataclass(frozen=True, slots=True)
class Figures:
    """What is compared: calls, tokens of all buckets, and cost in pico-dollars."""

    calls: int = 0
    tokens: int = 0
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Two copies that do not agree on one figure of one source partition."""

    partition: SourcePartition
    figure: str
    copies: tuple[str, str]
    values: tuple[int, int]

    def __str__(self) -> str:
        (left, right), (a, b) = self.copies, self.values
        if self.figure == "cost":
            return f"{self.partition} cost: {left} {_usd(a)}, {right} {_usd(b)}, {_usd(a - b)} more"
        return f"{self.partition} {self.figure}: {left} {a:,}, {right} {b:,}, {a - b:+,}"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The verdict. ``guard_position`` is None where the guard did not answer."""

    compared: Figures
    partitions: int
    differences: tuple[Difference, ...]
    guard_position: int | None

    @property
    def ok(self) -> bool:
        """True where all three copies are there and equal."""
        return not self.differences and self.guard_position is not None


_TOKENS = " + ".join(BUCKET_NAMES)
_ARCHIVE_TOKENS = " + ".join(f"ifNull({name}, 0)" for name in BUCKET_NAMES)
_BOUNDS = """
    SELECT journal, l.source AS source, l.partition AS partition,
           max(l.position) AS upto, max(l.through) AS through
    FROM ledger_progress AS l
    INNER JOIN (SELECT source, partition, max(through) AS landed
                FROM archive_progress GROUP BY source, partition) AS a
    ON l.source = a.source AND l.partition = a.partition
    WHERE l.accepted AND l.through <= a.landed
    GROUP BY journal, source, partition
"""
LEDGER_SQL = f"""
    SELECT s.source, s.partition, sum(s.calls), sum({_TOKENS}), sum(s.cost)
    FROM spend AS s INNER JOIN ({_BOUNDS}) AS b
    ON s.journal = b.journal AND s.source = b.source AND s.partition = b.partition
    WHERE s.position <= b.upto
    GROUP BY s.source, s.partition
"""
ARCHIVE_SQL = f"""
    SELECT u.source, u.partition, sum(sign), sum(sign * ({_ARCHIVE_TOKENS})), sum(cost_pico)
    FROM (SELECT *, if(kind = 'void', -1, 1) AS sign FROM usage_events FINAL) AS u
    INNER JOIN (SELECT source, partition, max(through) AS through FROM ({_BOUNDS})
                GROUP BY source, partition) AS b
    ON u.source = b.source AND u.partition = b.partition
    WHERE u.offset <= b.through
    GROUP BY u.source, u.partition
"""
GUARD_SQL = """
    SELECT source, partition, sum(calls), sum(cost) FROM spend
    WHERE journal != {journal:String} OR position <= {position:Int64}
    GROUP BY source, partition
"""


def reconcile(clickhouse: ClickHouse, guard: Mapping[str, Any] | None) -> Reconciliation:
    """Compare the copies. ``guard``: its `/v1/state`, None where it did not answer.

    Raises ClickHouseError.
    """
    ledger = {
        SourcePartition(source, int(partition)): Figures(int(calls), int(tokens), pico(cost))
        for source, partition, calls, tokens, cost in clickhouse.query(LEDGER_SQL)
    }
    archive = {
        SourcePartition(source, int(partition)): Figures(int(calls), int(tokens), int(cost or 0))
        for source, partition, calls, tokens, cost in clickhouse.query(ARCHIVE_SQL)
    }
    differences = [
        Difference(key, figure, ("archive", "ledger"), (theirs, ours))
        for key in sorted(ledger.keys() | archive.keys())
        for figure, theirs, ours in _pairs(archive.get(key, Figures()), ledger.get(key, Figures()))
        if theirs != ours
    ]
    if guard is not None:
        differences += _against_guard(clickhouse, guard)
    compared = Figures(
        sum(figures.calls for figures in ledger.values()),
        sum(figures.tokens for figures in ledger.values()),
        sum(figures.cost for figures in ledger.values()),
    )
    position = None if guard is None else int(guard["position"])
    return Reconciliation(compared, len(ledger), tuple(differences), position)


def _against_guard(clickhouse: ClickHouse, guard: Mapping[str, Any]) -> list[Difference]:
    at = {"journal": guard["journal"], "position": int(guard["position"])}
    ledger = {
        SourcePartition(source, int(partition)): Figures(int(calls), 0, pico(cost))
        for source, partition, calls, cost in clickhouse.query(GUARD_SQL, at)
    }
    guarded = {
        SourcePartition(part["source"], int(part["partition"])): Figures(
            int(part["calls"]), 0, int(part["cost_pico_usd"])
        )
        for part in guard["partitions"]
    }
    return [
        Difference(key, figure, ("guard", "ledger"), (theirs, ours))
        for key in sorted(ledger.keys() | guarded.keys())
        for figure, theirs, ours in _pairs(guarded.get(key, Figures()), ledger.get(key, Figures()))
        if theirs != ours
    ]


def _pairs(left: Figures, right: Figures) -> list[tuple[str, int, int]]:
    return [
        ("calls", left.calls, right.calls),
        ("tokens", left.tokens, right.tokens),
        ("cost", left.cost, right.cost),
    ]


def _usd(amount: int) -> str:
    value: Decimal = usd(amount)
    return f"${value:f}"
