"""Calls that would do one tier down, with the evidence. Pure."""

from __future__ import annotations

from decimal import Decimal

from reports.routing.figures import EXACT, total
from reports.routing.statistics import FEWEST
from reports.savings.found import Found
from reports.savings.model import Evidence, Part, Range, Saving
from reports.savings.read import Group
from reports.savings.route import SCALE, Key, Way
from sinks.amounts import amount_text

_COSTS = """
SELECT use_case, routing_tier, count() AS calls, sum(s.cost) AS usd, sum(cost_left) AS usd_left
FROM {cautious} AS s WHERE {scope} GROUP BY use_case, routing_tier ORDER BY usd DESC
"""
_VERDICTS = {
    "holds": "quality holds",
    "open": "quality is not known well enough, only in the high figure",
    "worse": "quality is lower, not counted",
}
"""In the order in which they are shown."""


def routing(found: Found) -> Saving:
    """What the eligible calls would cost one tier down."""
    routes = found.routes
    eligible = [one for one in found.cautious if routes.share(one, hopeful=True) > 0]
    sure = [one for one in found.cautious if routes.share(one, hopeful=False) > 0]
    return Saving(
        kind="routing",
        title="Routing one tier down",
        looked_at="calls whose quality is not shown to be lower there",
        calls=sum(one.calls for one in eligible),
        cost=total(one.cost for one in eligible),
        alone=_range(found, left=False),
        added=_range(found, left=True),
        evidence=(
            Evidence("calls whose quality is shown to hold", sum(one.calls for one in sure)),
            Evidence("pairs of a call and its shadow", sum(one.pairs for one in routes.pairs)),
            Evidence(
                "pairs with a score on both sides", sum(one.quality.count for one in routes.pairs)
            ),
        ),
        assumptions=(
            "By use case and tier: the cost of the calls, less that cost times (cost of the "
            "shadows / cost of the calls that they shadow). Low and high are the ends of that "
            "ratio's 95 % confidence interval. The shadowed calls are a random sample, and nothing "
            "else changes: no more retries, no second call where the cheaper answer will not do.",
            "Low: only where mean quality is shown to be at most "
            f"{found.terms.tolerated_loss:f} lower (95 % confidence interval). High: also where "
            "that is not known; a model that is only named is priced at the same tokens.",
        ),
        not_estimated=tuple(_stay(found)),
        sql=found.asked.query(_COSTS).text,
        parts=tuple(
            part
            for verdict in _VERDICTS
            for key, ways in routes.ways.items()
            for way in ways
            if way.verdict == verdict and (part := _part(found, key, way)).calls
        ),
    )


def _range(found: Found, *, left: bool) -> Range | None:
    """Of all that the calls cost, or of what is left after the kinds before."""

    def cost(one: Group) -> Decimal:
        return one.cost_left if left else one.cost

    if not found.routes.ways:
        return None
    return Range(
        found.routes.saved(found.cautious, cost, hopeful=False),
        found.routes.saved(found.hopeful, cost, hopeful=True),
    )


def _stay(found: Found) -> list[str]:
    routes = found.routes
    unknown = [
        one
        for one in found.cautious
        if routes.key(one) is None and one.tier not in routes.targets and one.calls
    ]
    if not unknown:
        return list(routes.missing)
    calls, cost = sum(one.calls for one in unknown), total(one.cost for one in unknown)
    return [
        *routes.missing,
        f"{calls:,} calls of {amount_text(cost, 'USD')}: fewer than {FEWEST} pairs with a shadow "
        "on another tier, and no cheaper model is named for them (--cheaper)",
    ]


def _part(found: Found, key: Key, way: Way) -> Part:
    """One way of a use case and tier, taken by all of its calls."""
    groups = [one for one in found.cautious if found.routes.key(one) == key]
    cost = total(one.cost for one in groups)
    low, high = (
        EXACT.multiply(cost, share).quantize(SCALE, context=EXACT)
        for share in (way.share.low, way.share.high)
    )
    use_case, tier, _, model = key
    stays, note = model or tier or "–", _VERDICTS[way.verdict]
    if way.pairs is None:
        note = "only priced, no shadow was asked: only in the high figure"
    elif (interval := way.pairs.quality.interval) is not None:
        note += f": {way.pairs.quality.mean:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}]"
    return Part(
        f"{use_case or '–'}: {stays} → {way.to}",
        sum(one.calls for one in groups),
        cost,
        Range(low, high),
        note,
    )
