"""What two price books charge differently: the data of ``prices diff``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from streams.rating.list_prices import STANDARD, TIER_CONTEXT
from streams.rating.pricebook import PriceBook
from streams.rating.timeline import instant, percent, rates_at, stretches, telling

Model = tuple[str, str]
"""Provider, model."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One rate that changes. USD per million tokens (per call: USD), exact decimal text.

    ``old`` or ``new`` None: no price is known there. ``valid_from`` None: as far back as is known;
    ``valid_until`` None: no end is known; ``derived``: the bucket only follows what it is a part
    of, such as cache writes that are charged like input.
    """

    provider: str
    model: str
    service_tier: str
    region: str | None
    above_input_tokens: int | None
    bucket: str
    old: str | None
    new: str | None
    percent: Decimal | None
    valid_from: datetime | None
    valid_until: datetime | None
    hours: str | None
    derived: bool
    old_ref: str | None
    new_ref: str | None


def touched(book: PriceBook) -> set[Model]:
    """Every model whose price the file of a book may change; all others have the list's."""
    found = {(price.provider, price.model) for price in book.overrides.prices}
    for change in book.overrides.changes:
        if change.model is not None and not change.model.endswith("*"):
            found.add((change.provider, change.model))
        models = book.list_prices.models_of(change.provider)
        for one in models[1] if models else ():
            name = one.model.id.lower()
            prefix = (change.model or "*").removesuffix("*")
            if name.startswith(prefix) if prefix != change.model else name == prefix:
                found.add((change.provider, name))
    return found


def differences(old: PriceBook, new: PriceBook, models: Iterable[Model]) -> list[Difference]:
    """Every rate of these models that the books do not have alike, sorted by model and time."""
    return [
        row
        for provider, model in sorted(set(models))
        for row in _of_model(old, new, provider, model)
    ]


def regions_of(book: PriceBook) -> list[str]:
    """Regions that the file names, sorted."""
    overrides = book.overrides
    named = {one.region for one in (*overrides.prices, *overrides.changes)}
    return sorted(region for region in named if region)


def _of_model(old: PriceBook, new: PriceBook, provider: str, model: str) -> Iterator[Difference]:
    everywhere: set[Difference] = set()
    for region in (None, *sorted({*regions_of(old), *regions_of(new)})):
        for tier in (STANDARD, *TIER_CONTEXT):
            rows = list(_of_key(old, new, (provider, model, tier, region)))
            if region is None:
                everywhere.update(rows)
            elif all(replace(row, region=None) in everywhere for row in rows):
                continue
            yield from rows


def _of_key(
    old: PriceBook, new: PriceBook, key: tuple[str, str, str, str | None]
) -> Iterator[Difference]:
    open_rows: dict[tuple[object, ...], Difference] = {}
    for stretch in stretches(old.schedule(*key), new.schedule(*key)):
        before, after = stretch.cards
        own = {card.service_tier for card in stretch.cards if card is not None}
        if key[2] not in own:
            continue  # the standard price stands in on both sides, and is told there
        thresholds = sorted({limit for card in stretch.cards if card for limit in card.thresholds})
        was, will = rates_at(before, thresholds), rates_at(after, thresholds)
        for above in (None, *thresholds):
            pairs = {
                bucket: (was[above, bucket], will[above, bucket])
                for limit, bucket in was
                if limit == above
            }
            told = telling(pairs)
            for bucket, (one, other) in pairs.items():
                if one == other:
                    continue
                same = (above, bucket, one, other, stretch.hours)
                earlier = open_rows.get(same)
                if earlier is not None and earlier.valid_until == instant(stretch.start):
                    open_rows[same] = replace(earlier, valid_until=instant(stretch.end))
                    continue
                if earlier is not None:
                    yield earlier
                open_rows[same] = Difference(
                    *key,
                    above,
                    bucket,
                    one,
                    other,
                    percent(one, other),
                    instant(stretch.start),
                    instant(stretch.end),
                    stretch.hours,
                    bucket not in told,
                    before.price_ref if before else None,
                    after.price_ref if after else None,
                )
    yield from open_rows.values()
