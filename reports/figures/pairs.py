"""Calls and their shadows on another tier, as pairs: what the same request cost there."""

from __future__ import annotations

from reports.figures.ask import key, table
from reports.figures.figure import Measure, Table
from reports.figures.lens import Lens, within
from sinks.clickhouse import ClickHouse

_STANDS = "kind = 'usage' AND concat('void:', event_id) NOT IN"
_WHOLE = "ifNull(status, 'ok') = 'ok' AND NOT ifNull(served_from_cache, false)"
_COMPARED = "call_whole AND shadow_whole AND isNotNull(call_cost) AND isNotNull(shadow_cost)"


def shadow_pairs(clickhouse: ClickHouse, lens: Lens) -> Table:
    """By use case and both tiers, USD; a pair is of the day of its shadow. Raises ClickHouseError.

    As in `spendstream report routing`, which has their quality too.
    """
    shadows = lens.where(within("occurred_at"), "shadow_of IS NOT NULL", time="")
    voids = "SELECT event_id FROM usage WHERE kind = 'void' AND event_id IN"
    source = f"""(
        SELECT c.use_case AS use_case, c.routing_tier AS call_tier, s.routing_tier AS shadow_tier,
               c.cost AS call_cost, s.cost AS shadow_cost,
               c.whole AS call_whole, s.whole AS shadow_whole
        FROM
        (
            SELECT assumeNotNull(shadow_of) AS of, routing_tier, cost, {_WHOLE} AS whole
            FROM usage
            WHERE {shadows} AND {_STANDS}
                ({voids} (SELECT concat('void:', event_id) FROM usage WHERE {shadows}))
            ORDER BY occurred_at, event_id LIMIT 1 BY shadow_of, routing_tier
        ) AS s
        INNER JOIN
        (
            SELECT event_id, use_case, routing_tier, cost, {_WHOLE} AS whole
            FROM usage
            WHERE {lens.seen() or "true"}
                AND event_id IN (SELECT assumeNotNull(shadow_of) FROM usage WHERE {shadows})
                AND {_STANDS}
                ({voids} (SELECT concat('void:', assumeNotNull(shadow_of)) FROM usage
                          WHERE {shadows}))
        ) AS c ON s.of = c.event_id)"""
    return table(
        clickhouse,
        lens,
        "shadow_pairs",
        "Calls and their shadows",
        keys=[
            key("use_case"),
            key("call_tier", "Tier of the call"),
            key("shadow_tier", "Tier of the shadow"),
        ],
        measures=[
            Measure("pairs", "Pairs", "count", "count()", ""),
            Measure("compared", "With both costs", "count", f"countIf({_COMPARED})", ""),
            _usd("calls_cost", "Calls, USD", f"sumIf(call_cost, {_COMPARED})"),
            _usd("shadows_cost", "Shadows, USD", f"sumIf(shadow_cost, {_COMPARED})"),
            _usd("difference", "Difference, USD", f"sumIf(shadow_cost - call_cost, {_COMPARED})"),
        ],
        order="4 DESC, 1, 2, 3",
        source=source,
        where="true",
        limit=30,
        definition="A shadow is a copy of a call on another tier. Costs are of the pairs in which "
        "both ended well and both costs are known; below zero the shadows were cheaper.",
    )


def _usd(name: str, title: str, sql: str) -> Measure:
    return Measure(name, title, "usd", sql, "")
