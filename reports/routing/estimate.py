"""What full routing would have saved, by the cost ratio of paired calls. Exact money, pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from reports.routing.figures import EXACT, Pairs, Routed, total
from reports.routing.statistics import FEWEST, Differences

_SCALE = Decimal("1e-12")

METHOD = (
    "Per use case and tier: the cost of the calls that stayed on the tier, less that cost times "
    "(cost of the shadows / cost of the calls that they shadow). It assumes that the shadowed "
    "calls are a random sample of those that stayed, and that nothing else changes: no more "
    "retries, and no second call to the dearer tier where the cheaper answer will not do. Where "
    "several tiers were tried the cheapest counts."
)


@dataclass(frozen=True, slots=True)
class Saving:
    """``calls`` of a tier that cost ``cost`` USD would have cost ``saving`` less on ``to``.

    ``saving`` None: fewer than `FEWEST` pairs say so.
    """

    use_case: str | None
    tier: str | None
    calls: int
    cost: Decimal
    to: str | None = None
    saving: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FullRouting:
    """``groups`` with an estimate, and those without enough pairs for one."""

    groups: tuple[Saving, ...]
    not_estimated: tuple[Saving, ...]

    @property
    def saving(self) -> Decimal | None:
        """USD, of all that is estimated; None where nothing is."""
        if not self.groups:
            return None
        return total(one.saving for one in self.groups if one.saving is not None)

    @property
    def cost(self) -> Decimal:
        """USD that the calls cost which the estimate is about."""
        return total(one.cost for one in self.groups)


def full_routing(pairs: Sequence[Pairs], routed: Iterable[Routed]) -> FullRouting:
    """The estimate. A tier that is only ever the shadow's is where routing leads: no call of it is
    counted as not routed."""
    targets = {one.shadow_tier for one in pairs} - {one.call_tier for one in pairs}
    stayed: dict[tuple[str | None, str | None], Saving] = {}
    for one in routed:
        if one.tier in targets:
            continue
        key = one.use_case, one.tier
        known = stayed.get(key) or Saving(*key, 0, Decimal(0))
        cost = EXACT.add(known.cost, one.cost)
        stayed[key] = replace(known, calls=known.calls + one.calls, cost=cost)
    estimated, others = [], []
    for key, group in stayed.items():
        tried = [
            replace(group, to=one.shadow_tier, saving=_saving(group.cost, one))
            for one in pairs
            if (one.use_case, one.call_tier) == key and one.compared >= FEWEST and one.call_cost > 0
        ]
        if tried:
            estimated.append(max(tried, key=lambda one: one.saving or Decimal(0)))
        else:
            others.append(group)
    return FullRouting(tuple(estimated), tuple(others))


def _saving(cost: Decimal, pairs: Pairs) -> Decimal:
    """Rounded to the twelve decimals of all money, half to even."""
    less = EXACT.multiply(cost, EXACT.minus(pairs.difference))
    return EXACT.divide(less, pairs.call_cost).quantize(_SCALE, context=EXACT)


def over_use_cases(pairs: Iterable[Pairs]) -> list[Pairs]:
    """The pairs of each two tiers as one, where there is more than one use case."""
    groups: defaultdict[tuple[str | None, str | None], list[Pairs]] = defaultdict(list)
    for one in pairs:
        groups[one.call_tier, one.shadow_tier].append(one)
    return [
        Pairs(
            None,
            *tiers,
            pairs=sum(one.pairs for one in group),
            compared=sum(one.compared for one in group),
            call_cost=total(one.call_cost for one in group),
            shadow_cost=total(one.shadow_cost for one in group),
            quality=Differences.pooled(one.quality for one in group),
        )
        for tiers, group in groups.items()
        if len(group) > 1
    ]
