"""What is probably a mistake in an agreements file, and what is not in force."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from streams.agreements.book import Agreement, AgreementBook
from streams.file_model import nearest
from streams.rating.pricebook import PriceBook


def warnings(book: AgreementBook, prices: PriceBook, today: date) -> Iterator[str]:
    """One line each, in the order of the file. ``today``: UTC."""
    for one in book.agreements:
        for words in (_provider(one, prices), *_models(one, prices), _discounts(one, prices)):
            if words:
                yield f"{one.name}: {words}"
        if one.effective_until is not None and one.effective_until <= today:
            yield f"{one.name}: is over since {one.effective_until}"
        elif one.effective_from > today and not one.proposed:
            yield f"{one.name}: begins on {one.effective_from}"


def _provider(agreement: Agreement, prices: PriceBook) -> str | None:
    known = {provider.id for provider in prices.list_prices.providers}
    known |= {price.provider for price in prices.overrides.prices}
    if prices.list_prices.models_of(agreement.provider) or agreement.provider in known:
        return None
    near = nearest(agreement.provider, sorted(known))
    hint = f"did you mean {near}?" if near else "its name has to be the one in the usage events"
    return f"no price is known of any model of {agreement.provider!r}; {hint}"


def _models(agreement: Agreement, prices: PriceBook) -> Iterator[str]:
    listed = prices.list_prices.models_of(agreement.provider)
    if listed is None:
        return
    names = {model.model.id.lower() for model in listed[1]}
    names |= {
        price.model for price in prices.overrides.prices if price.provider == agreement.provider
    }
    for pattern in agreement.models:
        if pattern.endswith("*"):
            found = any(name.startswith(pattern[:-1]) for name in names)
        else:
            found = prices.list_prices.find(agreement.provider, pattern) is not None
            found = found or pattern in names
        if not found:
            near = nearest(pattern.removesuffix("*"), sorted(names))
            hint = f"; did you mean {near}?" if near else ""
            yield f"no model that has a price is {pattern!r}{hint}"


def _discounts(agreement: Agreement, prices: PriceBook) -> str | None:
    """The price file's percentages come off first, and the agreement's off what is left."""
    if any(one.provider == agreement.provider for one in prices.overrides.discounts):
        return (
            f"the price file has discounts of {agreement.provider} too; the agreement's come off "
            "what they leave: is that meant?"
        )
    return None
