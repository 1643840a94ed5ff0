"""Exact counters of one budget: what each of its members has spent in each stretch of time.

Sums are integers (pico-dollars, tokens, calls), so it does not matter in which order, or how
regrouped, rows come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import contains
from typing import Any

import polars as pl

from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from streams.budgets.book import Budget
from streams.budgets.stretches import Stretches, moment_of, stretch_map
from streams.guard import few_rows
from streams.guard.concern import AsOf
from streams.guard.money import pico

Member = tuple[str, ...]
"""The values of the budget's ``each``, in its order; empty for a budget of one."""

RECENT_HOURS = 24
"""Older periods are looked at where something was metered for them in this time: a budget that is
new must not raise an alert for every month of the past."""
_TOKENS_SQL = " + ".join(BUCKET_NAMES)
_OWN = ~pl.col("is_shadow").fill_null(value=False)


@dataclass(slots=True)
class Sum:
    """What somebody has spent: pico-dollars as far as known, calls, and tokens of all buckets."""

    cost: int = 0
    calls: int = 0
    tokens: int = 0

    def add(self, cost: int, calls: int, tokens: int) -> None:
        """Add so much."""
        self.cost += cost
        self.calls += calls
        self.tokens += tokens


Parts = dict[str | None, Sum]
"""Contributor (None: it says none) to sum."""


@dataclass(slots=True)
class Counters:
    """``sums``: stretch to member to contributor to sum."""

    budget: Budget
    stretches: Stretches
    sums: dict[int, dict[Member, Parts]] = field(default_factory=dict)
    asleep: set[int] = field(default_factory=set)
    """Stretches that are in the ledger and were not loaded: long ago, and nothing new."""
    shadows: bool = True
    """Whether shadow calls count."""

    def load(
        self, clickhouse: ClickHouse, at: AsOf, now: datetime, only: Collection[int] | None = None
    ) -> None:
        """Count the ledger as of the position: what a start looks at, or the stretches ``only``."""
        ((first, last),) = clickhouse.query(
            "SELECT toUnixTimestamp(min(minute)), toUnixTimestamp(max(minute)) FROM spend "
            f"WHERE {AsOf.SQL}",
            at.parameters,
        )
        if not last:
            return
        stretch, bound = self.stretches.sql(moment_of(int(first)), moment_of(int(last)))
        where, names = self._where()
        bound |= names | at.parameters
        if only is None:
            only = self._awake(clickhouse, stretch, where, bound, now)
        if not only:
            return
        each = "".join(f"`{name}`, " for name in self.budget.each)
        rows = clickhouse.query(
            f"SELECT {each}`{self.budget.part}`, {stretch} AS stretch, sum(cost), sum(calls), "
            f"sum({_TOKENS_SQL}) FROM spend WHERE {AsOf.SQL} AND {where} "
            "AND minute >= fromUnixTimestamp({oldest:Int64}) AND stretch IN {only:Array(Int64)} "
            f"GROUP BY {each}`{self.budget.part}`, stretch",
            {**bound, "oldest": min(only), "only": sorted(only)},
        )
        for row in rows:
            *member, part, start, cost, calls, tokens = row
            self._add(int(start), tuple(member), part, pico(cost), int(calls), int(tokens))

    def apply(self, rows: pl.DataFrame) -> set[tuple[Member, int]]:
        """Add an entry's rows; the members and stretches that they touch."""
        sums = self._each(rows) if rows.height <= few_rows.FEW else self._grouped(rows)
        touched = set()
        for *names, part, start, cost, calls, tokens in sums:
            member = tuple(names)
            touched.add((member, start))
            self._add(start, member, part, pico(cost), calls, tokens)
        return touched

    def _each(self, rows: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
        """Member, contributor, stretch and figures of each row that counts."""
        where, each = self.budget.where, self.budget.each
        names = (*where, *each, self.budget.part, "minute", "cost", "calls")
        if not self.shadows:
            rows = rows.filter(_OWN)
        for row, tokens in zip(few_rows.values(rows, names), few_rows.sums(rows), strict=True):
            scope, (*member, part, minute, cost, calls) = row[: len(where)], row[len(where) :]
            if all(map(contains, where.values(), scope)) and None not in member:
                yield *member, part, self.stretches.of(minute), cost, calls, tokens

    def _grouped(self, rows: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
        """The same, added up."""
        if not self.shadows:
            rows = rows.filter(_OWN)
        for name, values in self.budget.where.items():
            rows = rows.filter(pl.col(name).is_in(values))
        for name in self.budget.each:
            rows = rows.filter(pl.col(name).is_not_null())
        if rows.is_empty():
            return iter(())
        seconds = pl.col("minute").dt.epoch("s")
        known = stretch_map(self.stretches, rows.select(seconds.unique()).to_series())
        sums = (
            rows.with_columns(
                seconds.replace_strict(known, return_dtype=pl.Int64).alias("stretch"),
                pl.sum_horizontal(BUCKET_NAMES).alias("tokens"),
            )
            .group_by(*self.budget.each, pl.col(self.budget.part).alias("part"), "stretch")
            .agg(pl.col("cost").sum(), pl.col("calls").sum(), pl.col("tokens").sum())
        )
        return sums.iter_rows()

    def parts(self, member: Member, stretches: Collection[int]) -> Parts:
        """What the member has spent in these stretches, by contributor."""
        merged: Parts = {}
        for start in stretches:
            for part, one in self.sums.get(start, {}).get(member, {}).items():
                merged.setdefault(part, Sum()).add(one.cost, one.calls, one.tokens)
        return merged

    def figures(self) -> Mapping[str, int]:
        """Every sum by a name of its own: what a fresh load must come to."""
        unit = self.budget.name
        return {
            f"{unit} {member} {start} {part} {what}": value
            for start, members in self.sums.items()
            for member, parts in members.items()
            for part, one in parts.items()
            for what, value in (("cost", one.cost), ("calls", one.calls), ("tokens", one.tokens))
        }

    def forget(self, before: int) -> None:
        """Drop the stretches that begin before this one."""
        for start in [start for start in self.sums if start < before]:
            del self.sums[start]

    def _awake(
        self,
        clickhouse: ClickHouse,
        stretch: str,
        where: str,
        bound: Mapping[str, object],
        now: datetime,
    ) -> set[int]:
        """The stretches to look at: the newest, and those that something was metered for lately."""
        rows = clickhouse.query(
            f"SELECT {stretch} AS stretch, max((journal, position) IN (SELECT journal, position "
            f"FROM ledger_progress WHERE appended_at > now() - INTERVAL {RECENT_HOURS} HOUR)) "
            f"FROM spend WHERE {AsOf.SQL} AND {where} GROUP BY stretch",
            bound,
        )
        floor = self.stretches.of(self.stretches.loaded_from(now))
        awake = {int(start) for start, recent in rows if recent or int(start) >= floor}
        self.asleep = {int(start) for start, _ in rows} - awake
        return awake

    def _where(self) -> tuple[str, dict[str, object]]:
        parts = [f"`{name}` IS NOT NULL" for name in self.budget.each]
        if not self.shadows:
            parts.append("NOT is_shadow")
        bound: dict[str, object] = {}
        for name, values in self.budget.where.items():
            parts.append(f"`{name}` IN {{where_{name}:Array(String)}}")
            bound[f"where_{name}"] = list(values)
        return " AND ".join(parts) or "1", bound

    def _add(
        self, start: int, member: Member, part: str | None, cost: int, calls: int, tokens: int
    ) -> None:
        parts = self.sums.setdefault(start, {}).setdefault(member, {})
        parts.setdefault(part, Sum()).add(cost, calls, tokens)
