"""The usage that is priced elsewhere: token sums of the ledger, cut where a price may change.

A rate card changes at instants, at minutes of the day, and above a size of the prompt. Between two
such cuts one card and one level hold, so sums are enough to price it, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS
from sinks.clickhouse import ClickHouse

_PERIOD = (
    "minute >= toDateTime({first:Int64}, 'UTC') AND minute < toDateTime({end:Int64}, 'UTC') "
    "AND ({team:String} = '' OR team = {team:String})"
)
_BILLED = "NOT ifNull(served_from_cache, false)"
_PROMPT = " + ".join(f"abs(spend.{name})" for name in INPUT_BUCKETS)
# The size of a prompt is that of a row: one minute and attribution, on average over its calls.
_USAGE = f"""
SELECT provider, model, service_tier, region,
       arrayCount(cut -> cut <= intDiv(toUnixTimestamp(minute), 60), {{instants:Array(Int64)}}),
       arrayCount(cut -> cut <= intDiv(toUnixTimestamp(minute), 60) % 1440,
                  {{day_minutes:Array(Int64)}}),
       arrayCount(cut -> cut * greatest(abs(spend.calls), 1) < {_PROMPT}, {{sizes:Array(Int64)}})
           AS level,
       intDiv(toUnixTimestamp(min(minute)), 60), sum(spend.calls),
       {", ".join(f"sum(spend.{name})" for name in BUCKET_NAMES)},
       sum(spend.cost)
FROM spend
WHERE {_PERIOD} AND {_BILLED} AND rating = 'priced'
GROUP BY ALL ORDER BY ALL
"""
_LEFT_OUT = f"""
SELECT sumIf(spend.calls, rating = 'unpriced' AND {_BILLED}),
       sumIf(spend.calls, rating = 'no_usage' AND {_BILLED}),
       sumIf(spend.calls, NOT ({_BILLED})), sum(spend.calls)
FROM spend WHERE {_PERIOD}
"""


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, UTC, the last one included; of one team or, None, of all."""

    first: date
    last: date
    team: str | None = None

    @property
    def bounds(self) -> tuple[int, int]:
        """From when until when, seconds since the epoch; the end is not in it."""
        start = datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)
        end = datetime(self.last.year, self.last.month, self.last.day, tzinfo=UTC)
        return int(start.timestamp()), int((end + timedelta(days=1)).timestamp())

    @property
    def parameters(self) -> dict[str, Any]:
        """What the queries are bound to."""
        first, end = self.bounds
        return {"first": first, "end": end, "team": self.team or ""}


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a price may change: ``instants``, minutes since the epoch; ``day_minutes``, of the UTC
    day; ``sizes``, input-side tokens of a call above which another level holds. Ascending."""

    instants: tuple[int, ...] = ()
    day_minutes: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()

    @classmethod
    def of(cls, instants: Iterable[int], day_minutes: Iterable[int], sizes: Iterable[int]) -> Cuts:
        """In order, each once."""
        return cls(
            tuple(sorted(set(instants))), tuple(sorted(set(day_minutes))), tuple(sorted(set(sizes)))
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls between two cuts, with their tokens per bucket and what they cost, exact USD.

    ``minute``: one of theirs, since the epoch. ``above``: input-side tokens that each call has more
    than, on average over a minute; None: no limit of ``sizes`` is passed.
    """

    provider: str
    model: str
    service_tier: str | None
    region: str | None
    minute: int
    above: int | None
    calls: int
    tokens: tuple[int, ...]
    cost: Decimal

    @property
    def used(self) -> dict[str, int]:
        """The buckets that it has tokens in."""
        return {name: n for name, n in zip(BUCKET_NAMES, self.tokens, strict=True) if n}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Calls of the same days that nothing is compared for, and of ``calls`` in all."""

    unpriced: int
    without_usage: int
    from_cache: int
    calls: int


def models_in_use(clickhouse: ClickHouse, days: Days) -> list[tuple[str, str]]:
    """Provider and model of every priced call. Raises ClickHouseError."""
    sql = (
        f"SELECT DISTINCT provider, model FROM spend WHERE {_PERIOD} AND {_BILLED} "
        "AND rating = 'priced' ORDER BY ALL"
    )
    return [(str(p), str(m)) for p, m in clickhouse.query(sql, days.parameters)]


def read_usage(clickhouse: ClickHouse, days: Days, cuts: Cuts) -> list[Usage]:
    """The priced usage that a provider billed, by model, tier, region and cuts.

    Corrections are in it: of these some have a cost and no calls. Raises ClickHouseError.
    """
    rows = clickhouse.query(
        _USAGE,
        days.parameters
        | {
            "instants": list(cuts.instants),
            "day_minutes": list(cuts.day_minutes),
            "sizes": list(cuts.sizes),
        },
    )
    return [_usage(row, cuts.sizes) for row in rows]


def read_left_out(clickhouse: ClickHouse, days: Days) -> LeftOut:
    """What `read_usage` leaves out, in calls. Raises ClickHouseError."""
    ((unpriced, without, cached, calls),) = clickhouse.query(_LEFT_OUT, days.parameters)
    return LeftOut(int(unpriced), int(without), int(cached), int(calls))


def _usage(row: Sequence[Any], sizes: Sequence[int]) -> Usage:
    provider, model, tier, region, _, _, level, minute, calls, *tokens, cost = row
    return Usage(
        str(provider),
        str(model),
        tier,
        region,
        int(minute),
        sizes[level - 1] if level else None,
        int(calls),
        tuple(map(int, tokens)),
        Decimal(0) if cost is None else cost,
    )
