"""Attempts by the minute: whose, where, how they ended, and what they took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import polars as pl

from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from streams.guard import few_rows
from streams.guard.concern import AsOf
from streams.guard.money import pico

Outcome = Literal["fine", "failed", "cancelled", "repeated"]

FAILED = frozenset({"error", "timeout", "rate_limited"})
"""How an attempt ends that its provider did not answer; whoever cancels did so on their side."""
CLOCK_MINUTES = 5
"""A minute further in the future is a wrong clock; it must not push the present out of memory."""

_KEYS = (
    "team", "application", "provider", "model", "minute", "status", "error_code", "is_retry",
)  # fmt: skip


class Scope(NamedTuple):
    """Whose attempts are counted together."""

    team: str
    application: str | None


@dataclass(slots=True)
class Tally:
    """Calls, and what they took: pico-dollars (None: of none is the cost known) and tokens."""

    calls: int = 0
    cost: int | None = None
    tokens: int | None = None

    def add(self, other: Tally) -> None:
        """Count these too."""
        self.calls += other.calls
        if other.cost is not None:
            self.cost = (self.cost or 0) + other.cost
        if other.tokens is not None:
            self.tokens = (self.tokens or 0) + other.tokens

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """All of these together."""
        total = cls()
        for tally in tallies:
            total.add(tally)
        return total


class Attempts(NamedTuple):
    """Attempts of one minute (Unix minutes) that went the same way; negative where taken back."""

    scope: Scope
    provider: str
    model: str
    minute: int
    outcome: Outcome
    reason: str
    """The error code, or else the status; `repeated` for an attempt that worked after others."""
    tally: Tally

    @property
    def is_wasted(self) -> bool:
        """It failed, or repeats an earlier one."""
        return self.outcome != "fine"


def unix_minute(moment: datetime) -> int:
    """The minute that holds ``moment``, counted from 1970."""
    return int(moment.timestamp()) // 60


def attempts_of(rows: pl.DataFrame) -> Iterator[Attempts]:
    """The attempts in journal rows (`ROW_SCHEMA`), shadow calls left out."""
    yield from map(_attempts, _each(rows) if rows.height <= few_rows.FEW else _grouped(rows))


def _each(rows: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    names = ("is_shadow", "minute", *_KEYS, "calls", "cost")
    place = _KEYS.index("minute")
    for row, tokens in zip(few_rows.values(rows, names), few_rows.sums(rows), strict=True):
        is_shadow, minute, *figures = row
        if is_shadow is False:
            figures[place] = unix_minute(minute)
            yield *figures, tokens


def _grouped(rows: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    sums = (
        rows.filter(~pl.col("is_shadow"))
        .with_columns(
            pl.col("minute").dt.epoch("s") // 60, pl.sum_horizontal(BUCKET_NAMES).alias("tokens")
        )
        .group_by(_KEYS, maintain_order=True)
        .agg(pl.col("calls").sum(), _sum_or_null("cost"), pl.col("tokens").sum())
    )
    return sums.iter_rows()


def attempts_as_of(
    clickhouse: ClickHouse, at: AsOf, after: int, through: int
) -> Iterator[Attempts]:
    """The ledger's attempts as of a position, of the minutes after ``after`` up to ``through``."""
    keys = ", ".join(_KEYS).replace("minute", "intDiv(toUnixTimestamp(minute), 60) AS unix_minute")
    tokens = " + ".join(BUCKET_NAMES)
    rows = clickhouse.query(
        f"SELECT {keys}, sum(calls), sum(cost), sum({tokens}) FROM spend "
        f"WHERE {AsOf.SQL} AND NOT is_shadow AND minute > toDateTime({{after:UInt32}}, 'UTC') "
        "AND minute <= toDateTime({through:UInt32}, 'UTC') "
        f"GROUP BY {', '.join(_KEYS)}",
        at.parameters | {"after": max(0, after * 60), "through": max(0, through * 60)},
    )
    yield from map(_attempts, rows)


def _sum_or_null(name: str) -> pl.Expr:
    column = pl.col(name)
    return pl.when(column.is_not_null().any()).then(column.sum()).alias(name)


def _attempts(row: tuple[Any, ...]) -> Attempts:
    (
        team,
        application,
        provider,
        model,
        minute,
        status,
        error_code,
        is_retry,
        calls,
        cost,
        tokens,
    ) = row
    outcome: Outcome = "repeated" if is_retry else "fine"
    reason = "repeated"
    if status in FAILED or status == "cancelled":
        outcome = "failed" if status in FAILED else "cancelled"
        reason = error_code or status
    tally = Tally(int(calls), None if cost is None else pico(cost), int(tokens))
    return Attempts(Scope(team, application), provider, model, int(minute), outcome, reason, tally)
