"""Which model group of the proxy a call goes to: by its tier, and by the router where there is one.

The file is that of `spendstream.routing`; its models are the proxy's model groups here. Its section
``routing`` may be left out: then calls stay where they are until a budget degrades them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from spendstream.routing import TIERS, Choice, Router
from spendstream.routing._document import Item, from_values, read_document
from spendstream.routing._policy import policy
from spendstream.routing._tiers import Tiers


class Chosen(NamedTuple):
    """Where a call goes. ``tier``: None where the file does not say; ``reason``: may be empty.

    ``choice``: the router's, where it is its word that counts.
    """

    tier: str | None
    group: str
    reason: str
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class TierChoice:
    """A tiers file. ``router``: None where the file has no section ``routing``."""

    tiers: Tiers
    router: Router | None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read it. Raises ValueError with one line."""
        document = read_document(path)
        entries = document.keys(("tiers", "routing"), required=("tiers",))
        if "routing" in entries:
            router = Router(path)
            return cls(router.policy.tiers, router)
        any_tier = next(iter(entries["tiers"].mapping()), TIERS[0])
        routing = from_values({"default": any_tier}, str(path), "routing")
        whole = Item(document.where, document.place, {**entries, "routing": routing})
        return cls(policy(whole, path.parent).tiers, None)

    def choose(
        self,
        request: Mapping[str, Any],
        who: Mapping[str, Any],
        group: str,
        at_most: str | None,
        provider: str | None,
    ) -> Chosen:
        """The group for a request that asks for ``group``, whose models ``provider`` serves.

        ``at_most``: a tier that the call must not be dearer than, as a budget says. A group that is
        in no tier may be of any price: it is replaced then, and else left as it is.
        """
        tier: str | None = None
        reason = ""
        choice: Choice | None = None
        if self.router is not None:
            choice = self.router.choose(request, who, at_most=at_most)
            tier, group, reason = choice.tier, choice.model or group, choice.reason
        asked = self.tiers.asked(group)
        tier = tier or (asked.tier if asked else None)
        if at_most is None:
            return Chosen(tier if self.router is not None else None, group, reason, choice)
        if _rank(tier) <= _rank(at_most):
            return Chosen(tier, group, reason, choice)
        found = self.tiers.served(at_most, asked.provider if asked else provider)
        if found is None or _rank(found.tier) > _rank(at_most):
            why = f"{group} is left as it is: no tier up to {at_most} has a model for it"
            return Chosen(tier, group, why)
        return Chosen(found.tier, found.model, reason)


def _rank(tier: str | None) -> int:
    """From the cheapest on; what is in no tier comes last."""
    return TIERS.index(tier) if tier in TIERS else len(TIERS)
