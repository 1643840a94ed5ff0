"""What is doubtful in a price file, though it is valid: the warnings of ``prices check``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from streams.file_model import nearest
from streams.rating.diff import Model
from streams.rating.discounts import PriceChange
from streams.rating.fields import day_or_minute
from streams.rating.list_prices import STANDARD
from streams.rating.override_model import Override
from streams.rating.pricebook import PriceBook
from streams.rating.schedule import EPOCH

_FEWEST = 4
"""Letters of a name below which a similar one says little."""


def warnings(book: PriceBook, at: datetime) -> list[str]:
    """Names that are probably misspelt, and what has not begun or is over at ``at`` (aware)."""
    overrides = book.overrides
    entries: list[tuple[str, int, Override | PriceChange]] = [
        *(("prices", index, price) for index, price in enumerate(overrides.prices)),
        *(("discounts", index, change) for index, change in enumerate(overrides.discounts)),
        *(("uplifts", index, change) for index, change in enumerate(overrides.uplifts)),
    ]
    return [
        str(overrides.error(key, index, text))
        for key, index, entry in entries
        for text in _of(book, entry, at)
    ]


def long_unchecked(
    book: PriceBook, models: Iterable[Model], at: datetime, days: int
) -> Iterator[str]:
    """Models whose list price its source last checked more than ``days`` days before ``at``.

    Most entries of the list do not say when they were checked; these are passed over.
    """
    for provider, model in sorted(set(models)):
        card = book.card(provider, model, STANDARD, None, at)
        checked = card.source.checked if card else None
        if checked is not None and checked < (at - timedelta(days=days)).date():
            yield (
                f"{provider}/{model}: the list says that it last checked this price on {checked}; "
                "compare it with the provider's page"
            )


def _of(book: PriceBook, entry: Override | PriceChange, at: datetime) -> Iterator[str]:
    if entry.effective_from > at:
        yield f"begins on {day_or_minute(entry.effective_from)}, which is still to come"
    until = getattr(entry, "effective_until", None)
    if until is not None and until <= at:
        yield f"is over since {day_or_minute(until)}"
    absolute = isinstance(entry, Override)
    found = book.list_prices.models_of(entry.provider)
    if found is None:
        ids = [provider.id for provider in book.list_prices.providers]
        near = nearest(entry.provider, ids) if len(entry.provider) >= _FEWEST else None
        if near:
            yield f"the list has no provider {entry.provider}; did you mean {near}?"
        elif not absolute:
            yield f"the list has no provider {entry.provider}: there is nothing to take it off"
        return
    if entry.model is None:
        return
    names = [listed.model.id.lower() for listed in found[1]]
    if entry.model.endswith("*") and not absolute:
        if not any(name.startswith(entry.model[:-1]) for name in names):
            near = nearest(entry.model[:-1], names)
            hint = f"; did you mean {near}?" if near else ""
            yield f"no model that the list has of {found[0]} begins like {entry.model}{hint}"
        return
    if book.list_prices.find(entry.provider, entry.model) is None:
        near = nearest(entry.model, names)
        if near or not absolute:
            hint = f"; did you mean {near}?" if near else ": there is nothing to take it off"
            yield f"the list has no model {entry.model} of {found[0]}{hint}"
        return
    if isinstance(entry, PriceChange) and not _applies(book, entry):
        yield "never applies: a price of the file, or a more specific entry, always comes before"


def _applies(book: PriceBook, change: PriceChange) -> bool:
    tiers = (change.service_tier,) if change.service_tier else (STANDARD, "batch")
    return any(
        window.card is not None and change.words in window.card.price_ref
        for tier in tiers
        for period in book.schedule(
            change.provider, change.model or "", tier, change.region
        ).periods
        for window in period.windows
    )


def since(minute: int) -> str:
    """The day of a minute since the epoch, as a file has it."""
    return f"{EPOCH + timedelta(minutes=minute):%Y-%m-%d}"
