"""Routing: how calls and spend are spread over tiers of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures.ask import figures, key, ledger, table
from reports.figures.figure import Figure, Measure, Table
from reports.figures.lens import Lens
from reports.figures.measures import CALLS, SPEND, ratio, spent
from sinks.clickhouse import ClickHouse

CHEAPEST = "cost-optimised"
"""The tier that the line is about, as routers of the client put it on events."""
LINE = "0.5"
"""Half of the calls belong on cost-optimised models: what organisations with routing reach."""
_OF_CHEAPEST = f"routing_tier = '{CHEAPEST}'"
_SHARE_OF_CALLS = Measure(
    "cheapest_share_of_calls",
    "Calls on cost-optimised models",
    "share",
    ratio(f"sumIf(calls, {_OF_CHEAPEST})", "sum(calls)"),
    f"Calls that a router or gateway gave the tier {CHEAPEST}, of all calls; shadow calls are left "
    "out. Calls without a tier count among all.",
)
_SHARE_OF_SPEND = Measure(
    "cheapest_share_of_spend",
    "Spend on cost-optimised models",
    "share",
    ratio(spent(where=_OF_CHEAPEST), spent()),
    f"Spend on calls of the tier {CHEAPEST}, of all spend; shadow calls are left out.",
)
_WITHOUT = Measure(
    "calls_without_tier",
    "Calls without a tier",
    "count",
    "sumIf(calls, routing_tier IS NULL)",
    "Calls of which nobody said the tier: they did not come by a router.",
    "calls",
)
_SHADOWS = Measure(
    "shadow_calls",
    "Shadow calls",
    "count",
    "sumIf(calls, is_shadow)",
    "Copies of calls, sent to another tier to compare cost and quality.",
    "calls",
)
_SHADOW_SPEND = Measure(
    "shadow_spend",
    "Spend on shadow calls",
    "money",
    spent(where="is_shadow"),
    "What comparing costs. It is part of the spend on other pages.",
)


@dataclass(frozen=True, slots=True)
class Routing:
    """Shares are of calls that are no shadows."""

    shares: Mapping[str, Figure]
    shadows: Mapping[str, Figure]
    by_tier: Table
    by_day: Table
    by_team: Table


def routing(clickhouse: ClickHouse, lens: Lens) -> Routing:
    """Raises ClickHouseError."""
    real = lens.where("NOT is_shadow")
    return Routing(
        figures(clickhouse, lens, [_SHARE_OF_CALLS, _SHARE_OF_SPEND, _WITHOUT], where=real),
        figures(clickhouse, lens, [_SHADOWS, _SHADOW_SPEND]),
        _by_tier(clickhouse, lens, real),
        tiers_by_day(clickhouse, lens),
        table(
            clickhouse,
            lens,
            "tier_by_team",
            "By team",
            keys=[key("team")],
            measures=[_SHARE_OF_CALLS, _SHARE_OF_SPEND, CALLS, SPEND],
            order="5 DESC NULLS LAST, team",
            where=real,
            limit=30,
            definition="Dearest team first; shadow calls are left out.",
        ),
    )


def tiers_by_day(clickhouse: ClickHouse, lens: Lens) -> Table:
    """Calls of each day and tier, for the line of shares over time."""
    return table(
        clickhouse,
        lens,
        "tiers_by_day",
        "Calls by day and tier",
        keys=[key("day"), key("routing_tier", "Tier")],
        measures=[CALLS, SPEND],
        order="1, 2 NULLS LAST",
        where=lens.where("NOT is_shadow"),
        definition="Shadow calls are left out. No tier: nobody said one.",
    )


def _by_tier(clickhouse: ClickHouse, lens: Lens, real: str) -> Table:
    whole = f"FROM {ledger(lens)} WHERE {real})"
    return table(
        clickhouse,
        lens,
        "by_tier",
        "By tier",
        keys=[key("routing_tier", "Tier")],
        measures=[
            CALLS,
            _part("share_of_calls", "Of calls", "sum(calls)", whole),
            SPEND,
            _part("share_of_spend", "Of spend", spent(), whole),
        ],
        order="4 DESC NULLS LAST, 1",
        where=real,
        definition="Tiers as routers and gateways put them on events; shadow calls are left out.",
    )


def _part(name: str, title: str, sql: str, whole: str) -> Measure:
    return Measure(name, title, "share", ratio(sql, f"(SELECT {sql} {whole}"), "")
