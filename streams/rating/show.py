"""What the price book knows about a model at a time: the data of ``prices show``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from schemas.errors import UserError
from streams.rating.cards import Decision, RateCard
from streams.rating.list_prices import STANDARD, TIER_CONTEXT
from streams.rating.pricebook import PriceBook
from streams.rating.schedule import minute_of

_SUGGESTIONS = 4


@dataclass(frozen=True, slots=True)
class ShownLevel:
    """Prices for calls with more than ``above_input_tokens`` (None: from the first token on).

    USD as exact decimal text; None where a bucket has no known price.
    """

    above_input_tokens: int | None
    usd_per_million_tokens: dict[str, str | None]
    usd_per_call: str | None


@dataclass(frozen=True, slots=True)
class ShownPrice:
    """The price of one service tier (and region, where an override names one). Times are UTC.

    ``valid_from`` None: as far back as is known; ``valid_until`` None: no end is known;
    ``hours``: the hours of the day it holds for, such as 16:30-00:30 UTC, None: all day.
    ``checked``: the day the source says that the price was checked, None where it does not say.
    ``decisions``: what a price file says on it, who decided and why.
    """

    provider: str
    model: str
    service_tier: str
    region: str | None
    levels: tuple[ShownLevel, ...]
    valid_from: datetime | None
    valid_until: datetime | None
    hours: str | None
    price_ref: str
    source: str
    pricing_urls: tuple[str, ...]
    comments: str | None
    checked: date | None
    decisions: tuple[Decision, ...] = ()


def describe(
    book: PriceBook, model: str, at: datetime, provider: str | None = None
) -> list[ShownPrice]:
    """Every price of a model at ``at`` (aware), standard tier first.

    ``model`` may be ``provider/model``; without a provider, each one that a price override names
    for it, else the one that genai-prices tells from the name. Raises UserError with close matches
    for an unknown model, and for one that has no price per token.
    """
    at = at.astimezone(UTC)
    known = sellers(book, model, provider)
    prices = [price for pair in known for price in _prices(book, *pair, at)]
    if not prices:
        pair = "/".join(known[0])
        raise UserError(f"{pair} has no price per token or call at {at:%Y-%m-%d}: it is unpriced")
    return prices


def sellers(book: PriceBook, model: str, provider: str | None = None) -> list[tuple[str, str]]:
    """(provider, model) that a name may mean. Raises UserError for one that is not known."""
    named = [(provider, model)] if provider else list(_readings(book, model))
    known = [pair for pair in named if _is_known(book, *pair)]
    if not known:
        raise UserError(_unknown(book, model if provider is None else f"{provider}/{model}"))
    return known


def close_names(book: PriceBook, text: str) -> list[str]:
    """Models, as `provider/model`, whose names are like this one; without a slash, names alone."""
    names = [f"{price.provider}/{price.model}" for price in book.overrides.prices]
    names += [f"{p.id}/{m.id}" for p in book.list_prices.providers for m in p.models]
    if "/" not in text:
        names = [name.partition("/")[2] for name in names]
    return difflib.get_close_matches(text.lower(), dict.fromkeys(names), n=_SUGGESTIONS)


def _readings(book: PriceBook, text: str) -> Iterator[tuple[str, str]]:
    """What ``text`` may mean: provider/model first, as names of models may have a slash too."""
    head, slash, tail = text.partition("/")
    if slash and _is_known(book, head, tail):
        yield head, tail
        return
    overridden = dict.fromkeys(
        price.provider for price in book.overrides.prices if price.model == text.lower()
    )
    yield from ((provider, text) for provider in overridden)
    found = book.list_prices.find(None, text)
    if found is not None and found[0] not in overridden:
        yield found[0], text


def _is_known(book: PriceBook, provider: str, model: str) -> bool:
    return bool(book.overrides.of_model(provider, model) or book.list_prices.find(provider, model))


def _prices(book: PriceBook, provider: str, model: str, at: datetime) -> Iterator[ShownPrice]:
    overrides = book.overrides.of_model(provider, model)
    named = (*overrides, *book.overrides.changes)
    regions = dict.fromkeys([None, *(one.region for one in named)])
    minute = minute_of(at)
    for tier in (STANDARD, *TIER_CONTEXT):
        shown: set[str] = set()
        for region in regions:
            schedule = book.schedule(provider, model, tier, region)
            card = schedule.card_at(minute)
            if card is None or card.service_tier != tier or card.price_ref in shown:
                continue
            shown.add(card.price_ref)
            valid_from, valid_until = schedule.validity_at(minute)
            yield ShownPrice(
                provider=provider,
                model=model,
                service_tier=tier,
                region=region,
                levels=_levels(card),
                valid_from=valid_from,
                valid_until=valid_until,
                hours=schedule.hours_at(minute),
                price_ref=card.price_ref,
                source=card.source.name,
                pricing_urls=card.source.urls,
                comments=card.source.comments,
                checked=card.source.checked,
                decisions=card.source.decisions,
            )


def _levels(card: RateCard) -> tuple[ShownLevel, ...]:
    return tuple(
        ShownLevel(start, card.usd_per_million(level), card.usd_per_call(level))
        for level, start in enumerate((None, *card.thresholds))
    )


def _unknown(book: PriceBook, text: str) -> str:
    close = close_names(book, text)
    hint = f"did you mean {', '.join(close)}?" if close else "an override can give it a price"
    return f"no price is known for the model {text!r}; {hint}"
