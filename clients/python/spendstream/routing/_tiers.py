"""Tiers of models, and which model each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

TIERS = ("cost-optimised", "balanced", "frontier")
"""From the cheapest on, as budgets and access rules of the server name them."""

AUTO = "auto"
"""Asked for in place of a model: the router decides alone."""
ANY = "*"
"""In place of a provider: every one that the tier does not name."""


class Asked(NamedTuple):
    """What a request asks for."""

    tier: str | None
    """None where it leaves that to the router."""
    provider: str | None
    """None where it does not say."""
    model: str | None
    """None where it names no model."""


class Served(NamedTuple):
    """A model to use, and the tier that it is of."""

    tier: str
    provider: str | None
    """None where the file names the model for any provider."""
    model: str


class Tiers:
    """Tier → provider, or `*` for any other → models: the first is used, the others count as it."""

    def __init__(self, models: Mapping[str, Mapping[str, tuple[str, ...]]]) -> None:
        self._models = {tier: models[tier] for tier in in_order(models)}
        self._known: dict[str, tuple[str, str | None]] = {}
        for tier, providers in self._models.items():
            for provider, names in providers.items():
                for name in names:
                    whose = None if provider == ANY else provider
                    self._known.setdefault(name, (tier, whose))
                    self._known.setdefault(f"{provider}/{name}", (tier, whose))

    @property
    def names(self) -> tuple[str, ...]:
        """The tiers that the file has, from the cheapest on."""
        return tuple(self._models)

    def asked(self, model: str | None, provider: str | None = None) -> Asked | None:
        """What this name asks for: a tier, `auto` or a model; None where it is in no tier."""
        if model is None or model == AUTO:
            return Asked(None, provider, None)
        if model in self._models:
            return Asked(model, provider, None)
        known = self._known.get(f"{provider}/{model}") or self._known.get(model)
        if known is None:
            return None
        tier, whose = known
        return Asked(tier, provider or whose, model)

    def served(self, tier: str, provider: str | None) -> Served | None:
        """The model of a tier, for calls that this provider would serve; where the tier has none,
        that of the next cheaper tier; None where no tier has. Without a provider: of its first.
        """
        for name in reversed(self.up_to(tier)):
            models = self._models[name]
            whose = next(iter(models)) if provider is None else provider
            if whose in models or ANY in models:
                found = models.get(whose) or models[ANY]
                return Served(name, whose if whose in models and whose != ANY else None, found[0])
        return None

    def up_to(self, bound: str) -> tuple[str, ...]:
        """The tiers that are not dearer; the cheapest where all are, or the bound is not known."""
        below = TIERS[: TIERS.index(bound) + 1] if bound in TIERS else ()
        return tuple(tier for tier in self._models if tier in below) or self.names[:1]


def in_order(tiers: Iterable[str]) -> tuple[str, ...]:
    """Those tiers, from the cheapest on."""
    given = set(tiers)
    return tuple(tier for tier in TIERS if tier in given)
