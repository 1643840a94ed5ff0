"""Whether the percentages of a file leave every listed price one that a rate card can hold.

A file is refused as a whole where they do not, so that no price is lost while events are rated.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from streams.rating.cards import RateCard
from streams.rating.discounts import PriceChange
from streams.rating.list_prices import ListedModel, ListPrices
from streams.rating.overrides import Overrides

Entry = tuple[str, int, PriceChange]


def check_bounds(overrides: Overrides, listed: ListPrices) -> None:
    """Raise UserError where a discount or an uplift makes a listed price one that no card holds."""
    sellers: dict[str, tuple[list[ListedModel], list[Entry]]] = {}
    for key in ("discounts", "uplifts"):
        for index, change in enumerate(getattr(overrides, key)):
            if found := listed.models_of(change.provider):
                sellers.setdefault(found[0], (found[1], []))[1].append((key, index, change))
    for models, entries in sellers.values():
        for model in models:
            matching = [entry for entry in entries if _may_match(entry[2], model, listed)]
            if matching:
                _check(overrides, model, matching)


def _check(overrides: Overrides, model: ListedModel, entries: list[Entry]) -> None:
    try:
        cards = {_prices(card): card for card in model.cards()}
    except ValueError:
        return  # the list's own mistake: it has no price with or without percentages
    for factor, (key, index, change) in _factors(entries):
        for card in cards.values():
            try:
                card.times(factor)
            except ValueError as error:
                raise overrides.error(
                    key, index, f"{change.words} on {card.price_ref}: {error}"
                ) from None


def _factors(entries: list[Entry]) -> Iterator[tuple[Fraction, Entry]]:
    """Each alone, and each discount with each uplift."""
    yield from ((entry[2].factor, entry) for entry in entries)
    for discount in (entry for entry in entries if entry[0] == "discounts"):
        for uplift in (entry for entry in entries if entry[0] == "uplifts"):
            yield discount[2].factor * uplift[2].factor, uplift


def _may_match(change: PriceChange, model: ListedModel, listed: ListPrices) -> bool:
    """Whether calls that the list prices as this model may get it: a pattern may match any name."""
    if change.model is None or change.model.endswith("*"):
        return True
    if change.model == model.model.id.lower():
        return True
    found = listed.find(change.provider, change.model)
    return found is not None and found[1].model is model.model


def _prices(card: RateCard) -> object:
    return card.rates, card.per_call, card.denominator
