"""Every price that a model has had, and is known to get: the data of ``prices history``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from streams.rating.cards import Decision
from streams.rating.diff import regions_of
from streams.rating.list_prices import STANDARD, TIER_CONTEXT
from streams.rating.pricebook import PriceBook
from streams.rating.timeline import instant, percent, rates_at, stretches, telling


@dataclass(frozen=True, slots=True)
class Rate:
    """One rate: USD per million tokens (per call: USD), exact decimal text. ``percent``: against
    the period before, None for the first one and for a rate that was not known.
    """

    above_input_tokens: int | None
    bucket: str
    usd: str
    percent: Decimal | None
    derived: bool


@dataclass(frozen=True, slots=True)
class PastPrice:
    """A period of one service tier and region. Times are UTC; ``valid_from`` None: as far back as
    is known; ``valid_until`` None: no end is known. ``price_ref`` None: there was no price.
    """

    provider: str
    model: str
    service_tier: str
    region: str | None
    valid_from: datetime | None
    valid_until: datetime | None
    hours: str | None
    rates: tuple[Rate, ...]
    price_ref: str | None
    source: str | None
    decisions: tuple[Decision, ...]


def history(
    book: PriceBook, provider: str, model: str, tier: str | None = None, region: str | None = None
) -> list[PastPrice]:
    """Every period of a model in order, by region and service tier.

    ``tier`` and ``region`` None: all that have prices of their own.
    """
    tiers = (tier,) if tier else (STANDARD, *TIER_CONTEXT)
    regions = (region.lower(),) if region else (None, *regions_of(book))
    found: list[PastPrice] = []
    known: set[tuple[str, str | None]] = set()
    for where in regions:
        for one in tiers:
            periods = list(_periods(book, (provider, model, one, where)))
            references = {(one, period.price_ref) for period in periods}
            asked_for = tier is not None or region is not None
            own = any(_is_own(book, (provider, model, one, where)))
            if (own or tier) and (asked_for or not references <= known):
                known |= references
                found += periods
    return found


def _is_own(book: PriceBook, key: tuple[str, str, str, str | None]) -> Iterator[bool]:
    for period in book.schedule(*key).periods:
        yield from (
            window.card is not None and window.card.service_tier == key[2]
            for window in period.windows
        )


def _periods(book: PriceBook, key: tuple[str, str, str, str | None]) -> Iterator[PastPrice]:
    schedule = book.schedule(*key)
    for stretch in stretches(schedule):
        (card,) = stretch.cards
        before = None
        if stretch.start:
            last = max(period.start for period in schedule.periods if period.start < stretch.start)
            before = next(p for p in schedule.periods if p.start == last).card_at(
                stretch.day_minute
            )
        elif card is None:
            continue  # nothing is known that far back
        thresholds = card.thresholds if card else ()
        now, was = rates_at(card, thresholds), rates_at(before, thresholds)
        rates: list[Rate] = []
        for above in (None, *thresholds):
            level = {bucket: usd for (limit, bucket), usd in now.items() if limit == above}
            told = telling({bucket: (usd, was[above, bucket]) for bucket, usd in level.items()})
            rates += [
                Rate(above, bucket, usd, percent(was[above, bucket], usd), bucket not in told)
                for bucket, usd in level.items()
                if usd is not None
            ]
        yield PastPrice(
            *key,
            instant(stretch.start),
            instant(stretch.end),
            stretch.hours,
            tuple(rates),
            card.price_ref if card else None,
            card.source.name if card else None,
            card.source.decisions if card else (),
        )
