"""The routing report as one value, and as JSON."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from reports.routing.estimate import (
    METHOD,
    FullRouting,
    Saving,
    full_routing,
    over_use_cases,
)
from reports.routing.figures import (
    EXACT,
    Pairs,
    Routed,
    Span,
    read_pairs,
    read_routed,
    total,
)
from reports.routing.statistics import FEWEST, Differences
from sinks.clickhouse import ClickHouse

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """Calls that a router sent to a tier for a reason; both None: no router decided.

    ``cost``: exact USD, of those whose cost is known: of ``unknown`` it is not.
    """

    tier: str | None
    reason: str | None
    calls: int
    unknown: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class RoutingReport:
    """``overall``: the pairs of two tiers over all use cases, where there is more than one."""

    span: Span
    pairs: tuple[Pairs, ...]
    overall: tuple[Pairs, ...]
    full: FullRouting
    decisions: tuple[Decision, ...]

    @property
    def calls(self) -> int:
        """All calls of the time, shadows left out."""
        return sum(one.calls for one in self.decisions)


def routing_report(clickhouse: ClickHouse, span: Span) -> RoutingReport:
    """Ask ClickHouse."""
    pairs, routed = read_pairs(clickhouse, span), read_routed(clickhouse, span)
    return RoutingReport(
        span,
        tuple(pairs),
        tuple(over_use_cases(pairs)),
        full_routing(pairs, routed),
        tuple(_decisions(routed)),
    )


def _decisions(routed: list[Routed]) -> list[Decision]:
    """By tier and reason, the dearest first; what no router decided comes last."""
    groups: defaultdict[tuple[str | None, str | None], list[Routed]] = defaultdict(list)
    for one in routed:
        groups[one.tier, one.reason].append(one)
    decisions = [
        Decision(
            *key,
            sum(one.calls for one in group),
            sum(one.unknown for one in group),
            total(one.cost for one in group),
        )
        for key, group in groups.items()
    ]
    return sorted(decisions, key=lambda one: (one.tier is None, -one.cost, str(one.reason)))


def no_interval(quality: Differences) -> str:
    """Why there is no confidence interval, where there is none."""
    if quality.count == 0:
        return "no pair has a score on both sides"
    if quality.count < FEWEST:
        return f"too few: {quality.count} of {FEWEST} pairs with a score on both sides"
    return f"all {quality.count} differences are equal"


def as_document(report: RoutingReport) -> Json:
    """The report for machines: money as exact decimal text."""
    full, span = report.full, report.span
    return {
        "from": span.first.isoformat(),
        "to": span.last.isoformat(),
        "team": span.team,
        "pairs": [_pairs(one) for one in report.pairs],
        "over_use_cases": [_pairs(one) for one in report.overall],
        "full_routing": {
            "saving_usd": None if full.saving is None else _usd(full.saving),
            "of_cost_usd": _usd(full.cost),
            "groups": [_saving(one) for one in full.groups],
            "not_estimated": [_saving(one) for one in full.not_estimated],
            "method": METHOD,
        },
        "decisions": [
            {
                "tier": one.tier,
                "reason": one.reason,
                "calls": one.calls,
                "calls_without_cost": one.unknown,
                "cost_usd": _usd(one.cost),
            }
            for one in report.decisions
        ],
    }


def _pairs(one: Pairs) -> Json:
    quality, interval = one.quality, one.quality.interval
    shown: Json = {"judged": quality.count}
    if interval is None:
        shown |= {"mean_difference": None, "low": None, "high": None, "why": no_interval(quality)}
    else:
        shown |= {"mean_difference": quality.mean, "low": interval[0], "high": interval[1]}
    return {
        "use_case": one.use_case,
        "call_tier": one.call_tier,
        "shadow_tier": one.shadow_tier,
        "pairs": one.pairs,
        "compared": one.compared,
        "call_cost_usd": _usd(one.call_cost),
        "shadow_cost_usd": _usd(one.shadow_cost),
        "difference_usd": _usd(one.difference),
        "quality": shown,
    }


def _saving(one: Saving) -> Json:
    return {
        "use_case": one.use_case,
        "tier": one.tier,
        "to": one.to,
        "calls": one.calls,
        "cost_usd": _usd(one.cost),
        "saving_usd": None if one.saving is None else _usd(one.saving),
    }


def _usd(amount: Decimal) -> str:
    return f"{amount.normalize(EXACT):f}" if amount else "0"
