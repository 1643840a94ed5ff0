"""Which calls would do one tier down, and what part of their cost that saves. Pure.

The evidence is pairs of calls and their shadows; where there are none, a cheaper model that the
reader names. What is shown to be worse is in neither case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from reports.routing.figures import EXACT, Pairs
from reports.routing.ratio import Share, Verdict, quality_verdict, saved_share
from reports.savings.read import Group

SCALE = Decimal("1e-12")
_NOTHING = Decimal(0)

Key = tuple[str | None, str | None, str | None, str | None]
"""Use case and tier; with provider and model where that is what is exchanged, else None."""


@dataclass(frozen=True, slots=True)
class Way:
    """Calls could go ``to`` a tier or model, for ``share`` less. ``pairs`` None: it was never
    tried, only priced."""

    to: str
    share: Share
    verdict: Verdict
    pairs: Pairs | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The best way of each case; None: the calls stay."""

    cautious: Way | None
    hopeful: Way | None

    def share(self, *, hopeful: bool) -> Decimal:
        """The part of the cost that is saved, 0 to 1."""
        if hopeful:
            return self.hopeful.share.high if self.hopeful else _NOTHING
        return self.cautious.share.low if self.cautious else _NOTHING


class Routes:
    """The choices of all groups of calls that there is evidence for."""

    def __init__(
        self,
        ways: Mapping[Key, Sequence[Way]],
        pairs: Iterable[Pairs] = (),
        missing: Sequence[str] = (),
    ) -> None:
        self.ways = ways
        self.pairs = tuple(pairs)
        self.missing = missing
        called = {one.call_tier for one in self.pairs}
        self.targets = {one.shadow_tier for one in self.pairs} - called
        """Tiers that are only ever a shadow's: where routing leads."""
        self.choices = {key: _choice(found) for key, found in ways.items()}

    def key(self, group: Group) -> Key | None:
        """Whose evidence holds for a group: that of pairs before that of named models."""
        for key in (
            (group.use_case, group.tier, None, None),
            (group.use_case, group.tier, group.provider, group.model),
        ):
            if key in self.choices:
                return key
        return None

    def share(self, group: Group, *, hopeful: bool) -> Decimal:
        """The part of the group's cost that is saved, 0 to 1."""
        key = self.key(group)
        return _NOTHING if key is None else self.choices[key].share(hopeful=hopeful)

    def saved(
        self, groups: Iterable[Group], cost: Callable[[Group], Decimal], *, hopeful: bool
    ) -> Decimal:
        """USD saved of that cost of the groups, to twelve decimals, half to even."""
        whole = _NOTHING
        for group in groups:
            part = EXACT.multiply(cost(group), self.share(group, hopeful=hopeful))
            whole = EXACT.add(whole, part.quantize(SCALE, context=EXACT))
        return whole


def ways_of_pairs(pairs: Iterable[Pairs], tolerated: Decimal) -> dict[Key, list[Way]]:
    """The ways that were tried, by use case and tier: those with enough pairs."""
    found: defaultdict[Key, list[Way]] = defaultdict(list)
    for one in pairs:
        share = saved_share(one)
        if share is not None:
            way = Way(one.shadow_tier or "–", share, quality_verdict(one, tolerated), one)
            found[one.use_case, one.call_tier, None, None].append(way)
    return dict(found)


def _choice(ways: Sequence[Way]) -> Choice:
    """A dearer way is none."""
    sure = [one for one in ways if one.verdict == "holds" and one.share.low > 0]
    possible = [one for one in ways if one.verdict != "worse" and one.share.high > 0]
    return Choice(
        max(sure, key=lambda one: one.share.low, default=None),
        max(possible, key=lambda one: one.share.high, default=None),
    )
