"""The price book's answer to what usage costs somewhere else: `reports.vendors` asks, this rates.

A rate of the card times the tokens of a bucket, in exact fractions of pico-dollars, as
`streams.rating.rate` does it in columns. A bucket with tokens and without a rate is not known.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from fractions import Fraction

from reports.vendors.compare import Quote, Target
from reports.vendors.usage import Cuts, Usage
from schemas.tokens import BUCKET_NAMES
from streams.rating.list_prices import STANDARD
from streams.rating.pricebook import PriceBook
from streams.rating.schedule import Schedule

Tier = str | None
NO_PRICE = "any price"
"""Stands among the buckets without a rate where there is no price at all."""


class BookPricer:
    """Prices usage at targets, by one price book."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book

    def cuts(
        self,
        targets: Iterable[Target],
        keys: Iterable[tuple[Tier, str | None]],
        bounds: tuple[int, int],
    ) -> Cuts:
        """Where prices of these targets change for calls of these tiers and regions, within
        ``bounds``, seconds since the epoch."""
        keys = list(keys)
        schedules = {
            self._schedule(target, tier, region) for target in targets for tier, region in keys
        }
        first, end = (second // 60 for second in bounds)
        instants: list[int] = []
        day_minutes: list[int] = []
        sizes: list[int] = []
        for schedule in schedules:
            starts = [period.start for period in schedule.periods]
            held = bisect_right(starts, first) - 1
            for period in schedule.periods[max(0, held) : bisect_left(starts, end)]:
                instants.append(period.start)
                day_minutes += [window.start for window in period.windows]
                sizes += [n for w in period.windows if w.card for n in w.card.thresholds]
        return Cuts.of(instants, day_minutes, sizes)

    def __call__(self, usage: Usage, target: Target) -> Quote:
        """What it costs there. Raises nothing: what is not known is in ``missing``."""
        card = self._schedule(target, usage.service_tier, usage.region).card_at(usage.minute)
        if not usage.used and not usage.calls:
            return Quote()  # a correction of money alone: it has nothing that could be elsewhere
        if card is None or not card.charges:
            return Quote(missing=(NO_PRICE,))
        level = 0 if usage.above is None else bisect_right(card.thresholds, usage.above)
        rates = dict(zip(BUCKET_NAMES, card.rates[level], strict=True))
        missing = tuple(name for name in usage.used if rates[name] is None)
        if missing:
            return Quote(missing=missing)
        tokens = sum((rates[name] or 0) * count for name, count in usage.used.items())
        per_call = (card.per_call[level] or 0) * usage.calls
        return Quote(
            Fraction(tokens, card.denominator),
            Fraction(per_call, card.denominator),
            card.price_ref,
            card.service_tier != (usage.service_tier or STANDARD),
        )

    def _schedule(self, target: Target, tier: Tier, region: str | None) -> Schedule:
        where = region if target.region is None else target.region
        return self._book.schedule(target.provider, target.model, tier, where)
