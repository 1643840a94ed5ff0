"""What the ledger has to follow: archive minus ledger, where only the prices differ.

Both are compared as far as both have come (`Upto`). In a group of rows that are alike but for
rating and price, repricing cancels out: its calls, tokens and provider costs are zero. A group in
which they are not was counted wrongly, and is left to reconciliation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from schemas.journal import DIMENSIONS, TRUE_UP, SourcePartition
from sinks.clickhouse import ClickHouse
from streams.guard.money import pico
from streams.reconciliation.figures import BOUNDS, IS_ADJUSTMENT
from streams.reconciliation.sides import SUMS, UNRATED, archived_columns, counted_columns
from streams.repricing.scope import Scope, Upto, events_of

PART_ROWS = 20_000
"""Rows of one source partition that are asked for at once: about an entry of the journal."""
ROUND_ROWS = 60_000
"""Rows of all of them, so that memory stays bounded: some 200 MB."""

_KEY = ("source", "partition")
_PLACE = (*_KEY, "minute", *UNRATED)
_COUNTS = (*SUMS, "charged")
_THROUGH = f"SELECT source, partition, max(through) AS upto FROM ({BOUNDS}) GROUP BY ALL"


Group = Sequence[dict[str, Any]]
"""Rows with the columns of `schemas.journal.ROW_SCHEMA`, and more."""


@dataclass(frozen=True, slots=True)
class Pending:
    """``costs``: (team, provider, model) → pico-dollars that the ledger has yet to add; with an
    entry of 0 where only references differ. ``differing``: groups with other differences."""

    costs: Counter[tuple[str, str, str]]
    differing: int


@dataclass(frozen=True, slots=True)
class Correction:
    """Rows that bring the ledger nearer to the archive, and the offsets that they are about."""

    partition: SourcePartition
    start: int
    through: int
    groups: tuple[Group, ...]
    """Rows that are alike but for rating and price are a group."""


def pending_by_model(clickhouse: ClickHouse, scope: Scope, upto: Upto) -> Pending:
    """What is left to do of a part of the time. Raises ClickHouseError."""
    differs = " OR ".join(f"sum(d.{name}) != 0" for name in _COUNTS)
    sql = f"""
    SELECT team, provider, model, sum(cost), countIf(differs) FROM (
        SELECT {", ".join(_PLACE)}, sum(d.amount) AS cost, {differs} AS differs
        FROM ({_differences(scope)}) AS d
        GROUP BY {", ".join(_PLACE)}
    )
    GROUP BY team, provider, model
    """
    rows = clickhouse.query(sql, {**scope.parameters, **upto.parameters})
    costs = Counter({(str(t), str(p), str(m)): pico(cost) for t, p, m, cost, _ in rows})
    return Pending(costs, sum(int(count) for *_, count in rows))


def corrections(clickhouse: ClickHouse, scope: Scope, upto: Upto) -> Iterator[Correction]:
    """Per source partition, the first rows of what is left to do. Raises ClickHouseError."""
    shown = ("first", "last", *_KEY, "minute", *DIMENSIONS, *SUMS, "cost", "provider_cost")
    sql = f"""
    SELECT first, last, {", ".join((*_KEY, "minute", *DIMENSIONS, *SUMS))},
           if(rating = 'priced', amount, NULL), if(is_charged, charged, NULL)
    FROM ({_differences(scope)})
    ORDER BY {", ".join(_PLACE)}
    LIMIT {PART_ROWS} BY {", ".join(_KEY)}
    LIMIT {ROUND_ROWS}
    """
    found = clickhouse.query(sql, {**scope.parameters, **upto.parameters})
    rows = [dict(zip(shown, row, strict=True)) for row in found]
    left = len(rows)
    for key, part in groupby(rows, key=lambda row: (row["source"], row["partition"])):
        of_partition = list(part)
        left -= len(of_partition)
        cut = len(of_partition) == PART_ROWS or (len(rows) == ROUND_ROWS and not left)
        if groups := _whole_groups(of_partition, cut=cut):
            yield _correction(SourcePartition(key[0], int(key[1])), groups)


def _whole_groups(rows: Sequence[dict[str, Any]], *, cut: bool) -> Sequence[Group]:
    """The rows by group, without the last one where its end may be missing."""
    groups = [list(group) for _, group in groupby(rows, key=lambda row: [row[n] for n in _PLACE])]
    return groups[:-1] if cut else groups


def _correction(partition: SourcePartition, groups: Sequence[Group]) -> Correction:
    taken = [row for group in groups for row in group]
    offsets = [row[end] for row in taken for end in ("first", "last") if row[end] is not None]
    return Correction(
        partition,
        min(offsets, default=0),
        max(offsets, default=0),
        tuple(groups),
    )


def _differences(scope: Scope) -> str:
    """Rows of archive minus ledger, with the first and last offset of the archive's events."""
    sums = ", ".join(f"sum(s.{name}) AS {name}" for name in (*SUMS, "amount", "charged"))
    something = " OR ".join(f"sum(s.{name}) != 0" for name in (*SUMS, "amount", "charged"))
    nowhere = "CAST(NULL AS Nullable(Int64)) AS first, CAST(NULL AS Nullable(Int64)) AS last"
    spent = scope.condition("minute")
    place = ", ".join((*_KEY, "minute", *DIMENSIONS))
    return f"""
    SELECT {place}, {sums}, max(s.is_charged) AS is_charged,
           min(s.first) AS first, max(s.last) AS last
    FROM (
        SELECT {archived_columns("u", _KEY)}, toNullable(u.offset) AS first,
               toNullable(u.offset) AS last
        FROM ({events_of(scope, "*, if(kind = 'void', -1, 1) AS sign")}) AS u
        UNION ALL
        SELECT {counted_columns("s", _KEY)}, {nowhere}
        FROM (SELECT * FROM spend WHERE {spent} AND NOT {IS_ADJUSTMENT}) AS s
        INNER JOIN ({BOUNDS}) AS b
        ON s.journal = b.journal AND s.source = b.source AND s.partition = b.partition
        WHERE s.position <= b.position
        UNION ALL
        SELECT {counted_columns("s", _KEY)}, {nowhere}
        FROM (SELECT * FROM spend WHERE {spent} AND {IS_ADJUSTMENT}) AS s
        INNER JOIN adjustments AS a ON s.journal = a.journal AND s.position = a.position
        INNER JOIN ({_THROUGH}) AS b ON s.source = b.source AND s.partition = b.partition
        WHERE a.through <= b.upto AND a.reason != '{TRUE_UP}'
    ) AS s
    GROUP BY {place}
    HAVING {something}
    """
