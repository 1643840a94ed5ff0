"""The list prices: genai-prices' offline data, read as rate cards.

The rate of a bucket is the price of the most specific priced unit that the bucket's tokens belong
to. That is what genai-prices' own decomposition into leaf values comes to for disjoint buckets; it
also guarantees that the most specific unit is unique (its join coverage, checked here as well).
Units that are not tokens (audio hours, pages, searches) are no part of a usage event; a model that
is priced by nothing else has no card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial

from genai_prices.data_snapshot import DataSnapshot, find_provider_by_id
from genai_prices.data_units import unit_data
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.units import UnitDef, UnitRegistry
from genai_prices.validation import validate_priced_units

from schemas.tokens import BUCKETS, Bucket
from streams.rating.cards import Level, PriceSource, RateCard
from streams.rating.schedule import compile_schedule

STANDARD = "standard"
TIER_CONTEXT: dict[str, dict[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
"""Service tier of the usage event → price context of genai-prices."""

TOKENS_PER_PRICE = 1_000_000

_UNITS = UnitRegistry(unit_data)
_PER_CALL = "requests"
_CHECKED = re.compile(r"\bchecked\b.{0,200}?\b(20\d\d-\d\d-\d\d)\b", re.IGNORECASE | re.DOTALL)

Constraint = StartDateConstraint | TimeOfDateConstraint
Price = Decimal | TieredPrices


def _dimensions(bucket: Bucket) -> dict[str, str]:
    dimensions = {"family": "tokens", "direction": bucket.direction, "modality": bucket.modality}
    if bucket.cache:
        dimensions["token_type"] = f"cache_{bucket.cache}"
    if bucket.ttl:
        dimensions["cache_ttl"] = bucket.ttl
    if bucket.reasoning:
        dimensions["token_type"] = "reasoning"  # noqa: S105 - a kind of token, no secret
    return dimensions


_BUCKET_DIMENSIONS = {bucket.name: _dimensions(bucket) for bucket in BUCKETS}


@dataclass(frozen=True)
class ListedModel:
    """A model of genai-prices. ``owner`` lists it, which may be another provider than the one that
    was asked for (Azure serves OpenAI's models). ``tiered``: whether the tier prices apply; those
    of an owner are not those of who resells.
    """

    owner: Provider
    model: ModelInfo
    tiered: bool
    version: str

    def starts(self, service_tier: str) -> list[datetime]:
        """Instants at which the list price may change, UTC."""
        return [
            datetime.combine(constraint.start_date, time(), UTC)
            for constraint in self._constraints(service_tier)
            if isinstance(constraint, StartDateConstraint)
        ]

    def day_minutes(self, service_tier: str) -> list[int]:
        """Minutes of the UTC day at which it may change. Raises ValueError for finer times."""
        return [
            _minute_of_day(edge)
            for constraint in self._constraints(service_tier)
            if isinstance(constraint, TimeOfDateConstraint)
            for edge in (constraint.start_time, constraint.end_time)
        ]

    def has_price(self, service_tier: str, at: datetime) -> bool:
        """Whether the list names a price for that very tier at that time."""
        return service_tier == STANDARD or any(self._variants(service_tier, at))

    def card(self, service_tier: str, at: datetime) -> RateCard | None:
        """The card at ``at``; None where no token is priced. Raises ValueError for a bad price."""
        context = TIER_CONTEXT.get(service_tier) if self.tiered else None
        price = self.model.get_prices(at, context)
        variants = list(self._variants(service_tier, at))
        label = f"{self.version} {self.owner.id}/{self.model.id}"
        if variants:
            label += f" {service_tier}"
        in_force = [_in_force(self.model.prices, at), *(v.constraint for v in variants)]
        card = RateCard.of(
            label + _since(in_force),
            service_tier if variants else STANDARD,
            _levels(price),
            self._source(),
        )
        return card if card.charges else None

    def cards(self) -> Iterator[RateCard]:
        """Every card that it ever has. Raises ValueError for a bad price."""
        for tier in (STANDARD, *TIER_CONTEXT):
            schedule = compile_schedule(
                self.starts(tier), self.day_minutes(tier), partial(self.card, tier)
            )
            for period in schedule.periods:
                yield from (window.card for window in period.windows if window.card is not None)

    def tiers(self, at: datetime) -> list[str]:
        """Service tiers with a list price of their own at ``at``, standard first."""
        return [STANDARD, *(tier for tier in TIER_CONTEXT if self.has_price(tier, at))]

    def _variants(self, service_tier: str, at: datetime) -> Iterator[PriceVariant]:
        for variant in self._variants_of(service_tier):
            if variant.constraint is None or variant.constraint.active(at):
                yield variant

    def _variants_of(self, service_tier: str) -> list[PriceVariant]:
        context = TIER_CONTEXT.get(service_tier)
        if not self.tiered or context is None:
            return []
        return [v for v in self.model.price_variants or () if v.when.items() <= context.items()]

    def _constraints(self, service_tier: str) -> list[Constraint]:
        conditional = self.model.prices if isinstance(self.model.prices, list) else []
        found = [price.constraint for price in conditional]
        found += [variant.constraint for variant in self._variants_of(service_tier)]
        return [constraint for constraint in found if constraint is not None]

    def _source(self) -> PriceSource:
        said = [c for c in (self.model.price_comments, self.owner.price_comments) if c]
        days = [date.fromisoformat(day) for day in _CHECKED.findall(" ".join(said[:1]))]
        return PriceSource(
            name=self.version,
            urls=tuple(self.owner.pricing_urls or ()),
            comments=said[0] if said else None,
            checked=max(days, default=None),
        )


OTHER_NAMES = {
    "x_ai": "x-ai",
    "gcp.gen_ai": "google",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
}
"""Values of OpenTelemetry's `gen_ai.provider.name`, and of `gen_ai.system` before it, that
genai-prices does not know, or takes for another provider's."""


class ListPrices:
    """Finds models the way genai-prices does: by its match rules, with fallback providers."""

    def __init__(self, providers: list[Provider], version: str) -> None:
        self.providers = providers
        self.version = version

    def find(self, provider: str | None, model: str) -> tuple[str, ListedModel] | None:
        """(provider id, listed model); None where genai-prices knows no such model.

        Without ``provider`` the model's name must tell it.
        """
        # A snapshot remembers every name that it was asked for, for ever. A fresh one is two
        # microseconds, and made-up model names cannot fill the memory.
        snapshot = DataSnapshot(self.providers, from_auto_update=False)
        try:
            found, info = snapshot.find_provider_model(
                model, None, OTHER_NAMES.get((provider or "").casefold(), provider), None
            )
        except LookupError:
            return None
        if any(info is own for own in found.models):
            return found.id, ListedModel(found, info, tiered=True, version=self.version)
        owner = next(p for p in self.providers if any(info is own for own in p.models))
        return found.id, ListedModel(owner, info, tiered=False, version=self.version)

    def models_of(self, provider: str) -> tuple[str, list[ListedModel]] | None:
        """(provider id, every model that it sells): its own, then those of who it resells."""
        name = OTHER_NAMES.get(provider.casefold(), provider)
        seller = find_provider_by_id(self.providers, name)
        if seller is None:
            return None
        found = [ListedModel(seller, m, tiered=True, version=self.version) for m in seller.models]
        for owner in self.providers:
            if owner.id in (seller.fallback_model_providers or ()):
                found += [
                    ListedModel(owner, m, tiered=False, version=self.version) for m in owner.models
                ]
        return seller.id, found


def _levels(price: ModelPrice) -> list[Level]:
    units = _priced_units(price)
    starts = sorted(
        {tier.start for _, p in units if isinstance(p, TieredPrices) for tier in p.tiers}
    )
    return [
        Level(
            start,
            {name: _bucket_price(units, name, start) for name in _BUCKET_DIMENSIONS},
            _per_call(units, start),
        )
        for start in (None, *starts)
    ]


def _priced_units(price: ModelPrice) -> list[tuple[UnitDef, Price]]:
    units: list[tuple[UnitDef, Price]] = []
    for key, value in vars(price).items():
        if value is None:
            continue
        try:
            unit = _UNITS.unit_for_price_key(key)
        except KeyError:
            raise ValueError(f"{key} is no unit that genai-prices documents") from None
        units.append((unit, value))
    validate_priced_units([unit for unit, _ in units], _UNITS)
    return units


def _bucket_price(
    units: Sequence[tuple[UnitDef, Price]], bucket: str, start: int | None
) -> Decimal | None:
    dimensions = _BUCKET_DIMENSIONS[bucket].items()
    covering = [(u, price) for u, price in units if u.dimensions.items() <= dimensions]
    if not covering:
        return None
    unit, price = max(covering, key=lambda pair: len(pair[0].dimensions))
    if unit.per != TOKENS_PER_PRICE:
        raise ValueError(f"{unit.price_key} is a price per {unit.per} tokens, not per million")
    return _at(price, start)


def _per_call(units: Sequence[tuple[UnitDef, Price]], start: int | None) -> Decimal | None:
    for unit, price in units:
        if unit.usage_key == _PER_CALL:
            return _at(price, start) / unit.per
    return None


def _at(price: Price, start: int | None) -> Decimal:
    if isinstance(price, Decimal):
        return price
    applicable = price.base
    for tier in price.tiers:
        if start is not None and start >= tier.start:
            applicable = tier.price
    return applicable


def _in_force(prices: ModelPrice | list[ConditionalPrice], at: datetime) -> Constraint | None:
    if isinstance(prices, ModelPrice):
        return None
    for price in reversed(prices):
        if price.constraint is None or price.constraint.active(at):
            return price.constraint
    return None


def _since(constraints: Sequence[Constraint | None]) -> str:
    days = [c.start_date for c in constraints if isinstance(c, StartDateConstraint)]
    hours = [c for c in constraints if isinstance(c, TimeOfDateConstraint)]
    text = f" from {max(days)}" if days else ""
    for c in hours:
        text += f" {c.start_time:%H:%M}-{c.end_time:%H:%M} UTC"
    return text


def _minute_of_day(edge: time) -> int:
    if edge.tzinfo is not None:
        edge = datetime.combine(date(1970, 1, 1), edge).astimezone(UTC).time()
    if edge.second or edge.microsecond:
        raise ValueError(f"a price changes at {edge}, within a minute")
    return edge.hour * 60 + edge.minute
