"""What is asked of ClickHouse for the routing report: pairs, what was not routed, decisions.

A pair is a call and its shadow. Only what stands counts: a call that a void took back is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from reports.routing.statistics import Differences
from reports.viewer import EVERYBODY, Viewer
from schemas.outcome import QUALITY
from sinks.clickhouse import ClickHouse

EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
"""Decimal's default of 28 digits would round the 38 that a sum can hold."""

_RANGE = (
    "occurred_at >= fromUnixTimestamp64Micro({first:Int64}, 'UTC') "
    "AND occurred_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')"
)
_TEAM = "({team:String} = '' OR team = {team:String})"
_SEEN = (
    "({all:Bool} OR has({departments:Array(String)}, ifNull(department, '')) "
    "OR has({teams:Array(String)}, team))"
)
# A void repeats the time and the team of what it takes back, so it is in the same period.
_PERIOD = f"""
SELECT event_id, occurred_at, use_case, routing_tier, routing_reason, shadow_of, team, cost,
       ifNull(status, 'ok') = 'ok' AND NOT ifNull(served_from_cache, false) AS whole
FROM usage
WHERE {_RANGE} AND {_TEAM} AND {_SEEN} AND kind = 'usage' AND event_id NOT IN
(
    SELECT assumeNotNull(voids) FROM usage WHERE kind = 'void' AND {_RANGE} AND {_TEAM}
)
"""
# The shadow's time decides of the period: its call may have been answered just before midnight.
_SHADOWS = f"""
SELECT * FROM ({_PERIOD}) WHERE shadow_of IS NOT NULL
ORDER BY occurred_at, event_id LIMIT 1 BY shadow_of, routing_tier
"""


def _products(one: str, other: str) -> str:
    """Exact: of money's twelve decimals each."""
    return (
        f"sumIf(toDecimal256({one}.cost, 12) * toDecimal256({other}.cost, 12), "
        "c.whole AND s.whole AND isNotNull(c.cost) AND isNotNull(s.cost))"
    )


_PAIRS_SQL = f"""
WITH shadows AS ({_SHADOWS}),
calls AS
(
    SELECT event_id, use_case, routing_tier, team, cost,
           ifNull(status, 'ok') = 'ok' AND NOT ifNull(served_from_cache, false) AS whole
    FROM usage
    WHERE kind = 'usage' AND event_id IN (SELECT assumeNotNull(shadow_of) FROM shadows)
      AND concat('void:', event_id) NOT IN
      (
          SELECT event_id FROM usage WHERE event_id IN
              (SELECT concat('void:', assumeNotNull(shadow_of)) FROM shadows)
      )
),
scores AS
(
    SELECT assumeNotNull(o.of) AS id, u.team AS team, avg(toFloat64(o.value)) AS score
    FROM reported_outcomes AS o INNER JOIN
    (
        SELECT event_id, team FROM calls UNION ALL SELECT event_id, team FROM shadows
    ) AS u ON o.of = u.event_id
    WHERE o.name = {{outcome:String}} AND (o.team IS NULL OR o.team = u.team)
    GROUP BY id, team
)
SELECT c.use_case, c.routing_tier, s.routing_tier, count() AS pairs,
       countIf(c.whole AND s.whole AND isNotNull(c.cost) AND isNotNull(s.cost)) AS compared,
       sumIf(c.cost, c.whole AND s.whole AND isNotNull(c.cost) AND isNotNull(s.cost)),
       sumIf(s.cost, c.whole AND s.whole AND isNotNull(c.cost) AND isNotNull(s.cost)),
       countIf(isNotNull(cq.score) AND isNotNull(sq.score)) AS judged,
       avgIf(assumeNotNull(sq.score) - assumeNotNull(cq.score),
             isNotNull(cq.score) AND isNotNull(sq.score)),
       stddevSampStableIf(assumeNotNull(sq.score) - assumeNotNull(cq.score),
                          isNotNull(cq.score) AND isNotNull(sq.score)),
       {_products("c", "c")}, {_products("c", "s")}, {_products("s", "s")}
FROM shadows AS s INNER JOIN calls AS c ON s.shadow_of = c.event_id
LEFT JOIN (SELECT id, toNullable(score) AS score FROM scores) AS cq ON c.event_id = cq.id
LEFT JOIN (SELECT id, toNullable(score) AS score FROM scores) AS sq ON s.event_id = sq.id
GROUP BY c.use_case, c.routing_tier, s.routing_tier
ORDER BY c.use_case, c.routing_tier, s.routing_tier
"""
_ROUTED_SQL = f"""
SELECT use_case, routing_tier, routing_reason, count(), countIf(cost IS NULL), sum(cost)
FROM ({_PERIOD}) WHERE shadow_of IS NULL
GROUP BY use_case, routing_tier, routing_reason
ORDER BY use_case, routing_tier, routing_reason
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days, UTC, the last one included; of one team or, None, of all that the viewer sees."""

    first: date
    last: date
    team: str | None = None
    viewer: Viewer = EVERYBODY

    @property
    def parameters(self) -> dict[str, object]:
        """What the queries are bound to."""
        start = datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)
        end = datetime(self.last.year, self.last.month, self.last.day, tzinfo=UTC)
        return {
            "first": _micros(start),
            "end": _micros(end + timedelta(days=1)),
            "team": self.team or "",
            "all": int(self.viewer.sees_all),
            "departments": list(self.viewer.departments or ()),
            "teams": list(self.viewer.teams or ()),
            "outcome": QUALITY,
        }


Products = tuple[Decimal, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Calls of one use case and tier with their shadows on another tier. Costs are exact USD.

    ``compared`` of the ``pairs`` have both costs, and both calls ended well and were billed;
    ``call_cost`` and ``shadow_cost`` are theirs, and ``products`` the sums over these pairs of
    call cost squared, call cost times shadow cost, and shadow cost squared. ``quality``: shadow
    less call, where both have a score.
    """

    use_case: str | None
    call_tier: str | None
    shadow_tier: str | None
    pairs: int
    compared: int
    call_cost: Decimal
    shadow_cost: Decimal
    quality: Differences
    products: Products | None = None

    @property
    def difference(self) -> Decimal:
        """USD: the shadows less the calls."""
        return EXACT.subtract(self.shadow_cost, self.call_cost)


@dataclass(frozen=True, slots=True)
class Routed:
    """Calls (no shadows) of one use case, tier and reason; ``cost`` is exact USD, of those whose
    cost is known: of ``unknown`` it is not."""

    use_case: str | None
    tier: str | None
    reason: str | None
    calls: int
    unknown: int
    cost: Decimal


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Their sum, to the last digit."""
    whole = Decimal(0)
    for amount in amounts:
        whole = EXACT.add(whole, amount)
    return whole


def read_pairs(clickhouse: ClickHouse, span: Span) -> list[Pairs]:
    """By use case, the call's tier and the shadow's."""
    return [_pairs(row) for row in clickhouse.query(_PAIRS_SQL, span.parameters)]


def read_routed(clickhouse: ClickHouse, span: Span) -> list[Routed]:
    """All calls of the time, by use case, tier and reason."""
    return list(_routed(clickhouse.query(_ROUTED_SQL, span.parameters)))


def _pairs(row: tuple[Any, ...]) -> Pairs:
    case, tier, other, pairs, compared, cost, shadow_cost, judged, mean, deviation = row[:10]
    calls, both, shadows = (_usd(one) for one in row[10:])
    return Pairs(
        case,
        tier,
        other,
        int(pairs),
        int(compared),
        _usd(cost),
        _usd(shadow_cost),
        Differences.of(int(judged), float(mean or 0), float(deviation or 0)),
        (calls, both, shadows),
    )


def _routed(rows: list[tuple[Any, ...]]) -> Iterator[Routed]:
    for case, tier, reason, calls, unknown, cost in rows:
        yield Routed(case, tier, reason, int(calls), int(unknown), _usd(cost))


def _usd(cost: Decimal | None) -> Decimal:
    """A sum over nothing is nothing."""
    return Decimal(0) if cost is None else cost


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
