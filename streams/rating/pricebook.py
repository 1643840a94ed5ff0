"""The price book: the rate card of a provider, model, service tier and region at a time.

Where a price is looked for, the first that there is counts:

1. an override for that service tier (the region's own before one for any region)
2. the list price for that service tier
3. an override for the standard tier, likewise; the reference says that it stands in
4. the list's standard price; likewise

A negotiated standard price so does not displace the list's batch price: it says nothing about it.
Discounts and uplifts apply to the list's prices (2 and 4): see `streams.rating.discounts`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Self

from genai_prices.data_snapshot import get_snapshot

from streams.rating.bounds import check_bounds
from streams.rating.cards import RateCard
from streams.rating.discounts import Asked
from streams.rating.list_prices import STANDARD, ListedModel, ListPrices
from streams.rating.overrides import Overrides
from streams.rating.schedule import UNPRICED, Schedule, compile_schedule, minute_of

logger = logging.getLogger(__name__)

MAX_SCHEDULES = 10_000
"""Compiled schedules kept, the least recently used dropped first. A producer that sends made-up
model names costs time for each, but no memory."""


class PriceBook:
    """Rate cards, compiled once per (provider, model, service tier, region).

    Immutable as far as callers can tell; two books with the same `version` give the same prices.
    """

    def __init__(self, list_prices: ListPrices, overrides: Overrides | None = None) -> None:
        self.list_prices = list_prices
        self.overrides = overrides or Overrides()
        self.schedule = lru_cache(maxsize=MAX_SCHEDULES)(self._compile)

    @classmethod
    def load(cls, overrides: Path | None = None) -> Self:
        """genai-prices as installed, with the overrides of a file. Raises UserError for that."""
        listed = ListPrices(get_snapshot().providers, f"genai-prices {version('genai-prices')}")
        book = cls(listed, Overrides.load(overrides) if overrides else None)
        check_bounds(book.overrides, listed)
        return book

    @property
    def version(self) -> str:
        """What the prices come from, such as ``genai-prices 0.2.3 + prices.yaml@1f2e3d4c``."""
        if not self.overrides:
            return self.list_prices.version
        return f"{self.list_prices.version} + {self.overrides.name}@{self.overrides.digest}"

    def card(
        self,
        provider: str,
        model: str,
        service_tier: str | None,
        region: str | None,
        at: datetime,
    ) -> RateCard | None:
        """The card in force at ``at`` (aware); None where no price is known."""
        return self.schedule(provider, model, service_tier, region).card_at(minute_of(at))

    def _compile(
        self, provider: str, model: str, service_tier: str | None, region: str | None
    ) -> Schedule:
        tier = service_tier or STANDARD
        found = self.list_prices.find(provider, model)
        listed = found[1] if found else None
        overrides = self.overrides.of_model(provider, model)
        if listed is None and not overrides:
            return UNPRICED
        asked = Asked(
            provider.lower(),
            model.lower(),
            found[0].lower() if found else "",
            listed.model.id.lower() if listed else "",
            tier,
            region.lower() if region else None,
        )

        def card_at(at: datetime) -> RateCard | None:
            candidates = self._candidates(asked, listed, at)
            card = next((card for card in candidates if card is not None), None)
            if card is not None and card.service_tier != tier:
                return card.standing_in_for(tier)
            return card

        starts = [price.effective_from for price in overrides]
        day_minutes: list[int] = []
        if listed is not None:
            try:
                starts += self.overrides.changes.instants((asked.provider, asked.listed_provider))
                for name in dict.fromkeys((tier, STANDARD)):
                    starts += listed.starts(name)
                    day_minutes += listed.day_minutes(name)
                return compile_schedule(starts, day_minutes, card_at)
            except ValueError as error:
                logger.warning("%s/%s: list price not usable: %s", provider, model, error)
                listed = None
                starts = [price.effective_from for price in overrides]
        return compile_schedule(starts, (), card_at)

    def _candidates(
        self, asked: Asked, listed: ListedModel | None, at: datetime
    ) -> Iterator[RateCard | None]:
        tier = asked.service_tier
        changes = self.overrides.changes
        yield self._override(asked, tier, at)
        if listed is not None and tier != STANDARD and listed.has_price(tier, at):
            yield changes.applied(listed.card(tier, at), asked, at)
        yield self._override(asked, STANDARD, at)
        if listed is not None:
            yield changes.applied(listed.card(STANDARD, at), asked, at)

    def _override(self, asked: Asked, tier: str, at: datetime) -> RateCard | None:
        return self.overrides.card(asked.provider, asked.model, tier, asked.region, at)
