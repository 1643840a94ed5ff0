"""The models in use, from the ledger: which have no price, and which were rated at another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from schemas.journal import TRUE_UP
from schemas.tokens import BUCKET_NAMES
from sinks.clickhouse import ClickHouse
from streams.rating.check import since
from streams.rating.diff import Model
from streams.rating.list_prices import STANDARD
from streams.rating.override_model import FALLBACK
from streams.rating.pricebook import PriceBook
from streams.rating.rate import SERVED_FROM_CACHE
from streams.rating.show import close_names
from streams.rating.timeline import stretches

Key = tuple[str, str, str | None, str | None]
"""Provider, model, service tier, region: as the events say them."""

_KEY = "provider, model, service_tier, region"
_WITHIN = (
    "minute > (SELECT max(minute) FROM spend) - toIntervalDay({days:UInt32}) "
    f"AND kind != '{TRUE_UP}' AND NOT ifNull(served_from_cache, false)"
)
_MODELS = f"SELECT DISTINCT provider, model FROM spend WHERE {_WITHIN} ORDER BY ALL"
_UNPRICED = f"""
    SELECT {_KEY}, sum(spend.calls) AS n, {", ".join(f"sum(spend.{b})" for b in BUCKET_NAMES)},
           intDiv(toUnixTimestamp(min(minute)), 60), intDiv(toUnixTimestamp(max(minute)), 60)
    FROM spend WHERE rating = 'unpriced' AND {_WITHIN}
    GROUP BY {_KEY} HAVING n > 0 ORDER BY n DESC, {_KEY}"""
_PRICED = f"""
    SELECT {_KEY}, price_ref, sum(spend.calls) AS n, sum(spend.cost) AS usd,
           intDiv(toUnixTimestamp(min(minute)), 60), intDiv(toUnixTimestamp(max(minute)), 60)
    FROM spend WHERE rating = 'priced' AND price_ref != {{cached:String}} AND {_WITHIN}
    GROUP BY {_KEY}, price_ref HAVING n != 0 OR usd != 0 ORDER BY {_KEY}, price_ref"""
_BY_MINUTE = f"""
    SELECT intDiv(toUnixTimestamp(minute), 60) AS m, sum(spend.calls), sum(spend.cost)
    FROM spend
    WHERE rating = 'priced' AND price_ref = {{ref:String}} AND provider = {{provider:String}}
      AND model = {{model:String}}
      AND ifNull(service_tier, '') = {{tier:String}} AND ifNull(region, '') = {{region:String}}
      AND {_WITHIN}
    GROUP BY m"""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Calls that were rated without a price. ``priced_now``: the book has a price for them by now,
    which `reprice` gives them. Otherwise ``missing`` names the rates that are not known (all: there
    is no price at all), ``near`` a listed model of a similar name, and ``yaml`` is an entry of
    ``prices.yaml`` to complete.
    """

    provider: str
    model: str
    service_tier: str | None
    region: str | None
    calls: int
    tokens: int
    newest: str
    priced_now: bool
    missing: tuple[str, ...]
    near: str | None
    yaml: str | None


@dataclass(frozen=True, slots=True)
class Repriced:
    """Spend at a price that the book does not give for it any more."""

    provider: str
    model: str
    service_tier: str | None
    region: str | None
    price_ref: str
    now: tuple[str, ...]
    calls: int
    cost: Decimal


class Ledger:
    """The usage of the last ``days`` days of the ledger, by its newest minute.

    All raise ClickHouseError. What a cache answered is left out: no provider billed it.
    """

    def __init__(self, clickhouse: ClickHouse, book: PriceBook, days: int) -> None:
        self._clickhouse = clickhouse
        self._book = book
        self._days = {"days": days}

    def models(self) -> list[Model]:
        """Provider and model of every call."""
        return [(str(p), str(m)) for p, m in self._clickhouse.query(_MODELS, self._days)]

    def unpriced(self) -> list[Unpriced]:
        """Calls without a price, most first."""
        rows = self._clickhouse.query(_UNPRICED, self._days)
        return [self._unpriced(row[:4], row[4], row[5:-2], row[-2], row[-1]) for row in rows]

    def repriced(self) -> list[Repriced]:
        """Priced calls whose price is another one in this book, by model."""
        rows = self._clickhouse.query(_PRICED, self._days | {"cached": SERVED_FROM_CACHE})
        found = (self._repriced(row[:4], *row[4:]) for row in rows)
        return [one for one in found if one is not None]

    def _unpriced(
        self, key: Key, calls: int, sums: Sequence[int], oldest: int, newest: int
    ) -> Unpriced:
        provider, model, tier, region = key
        used = [name for name, tokens in zip(BUCKET_NAMES, sums, strict=True) if tokens > 0]
        card = self._book.schedule(provider, model, tier, region).card_at(newest)
        known = card.usd_per_million(len(card.rates) - 1) if card else {}
        missing = tuple(name.removesuffix("_tokens") for name in used if known.get(name) is None)
        priced = card is not None and not missing
        near = None if priced else next(iter(close_names(self._book, f"{provider}/{model}")), None)
        return Unpriced(
            provider,
            model,
            tier,
            region,
            int(calls),
            sum(sums),
            since(newest),
            priced,
            () if priced else missing,
            near,
            None if priced else self._snippet(key, oldest, near),
        )

    def _snippet(self, key: Key, oldest: int, near: str | None) -> str:
        """An entry for the model. A rate that nobody knows is a `?`, which no file may hold."""
        provider, model, tier, region = key
        rates, said = {"input": "?", "output": "?"}, "what the contract or the price page says"
        if near is not None:
            like = self._book.schedule(*near.split("/", 1), None, None).card_at(oldest)
            if like is not None:
                named = like.usd_per_million(0)
                rates = {
                    key: str(named[f"{key}_tokens"])
                    for key in ("input", "cache_read", "output")
                    if named[f"{key}_tokens"] is not None
                    and (key not in FALLBACK or named[f"{key}_tokens"] != named["input_tokens"])
                }
                said = f"those of {near}; check them"
        lines = [f"  - provider: {_yaml(provider)}", f"    model: {_yaml(model)}"]
        lines += [f"    service_tier: {tier}"] if tier not in (None, STANDARD) else []
        lines += [f"    region: {_yaml(region)}"] if region else []
        lines.append(f"    effective_from: {since(oldest)}")
        amounts = ", ".join(f"{name}: {usd}" for name, usd in rates.items())
        lines.append(f"    usd_per_million_tokens: {{{amounts}}}  # {said}")
        return "\n".join(lines)

    def _repriced(
        self, key: Key, price_ref: str, calls: int, cost: Decimal, first: int, last: int
    ) -> Repriced | None:
        schedule = self._book.schedule(*key)
        now = {
            stretch.cards[0].price_ref if stretch.cards[0] else "no price"
            for stretch in stretches(schedule)
            if stretch.start <= last and (stretch.end is None or stretch.end > first)
        }
        if now == {price_ref}:
            return None
        if price_ref in now:
            # Some of the time only: the minutes tell which.
            other = list(self._elsewhere(key, price_ref))
            if not other:
                return None
            now = {ref for ref, _, _ in other}
            calls, cost = sum(n for _, n, _ in other), sum((c for *_, c in other), Decimal(0))
        return Repriced(*key, price_ref, tuple(sorted(now)), int(calls), cost)

    def _elsewhere(self, key: Key, price_ref: str) -> Iterator[tuple[str, int, Decimal]]:
        provider, model, tier, region = key
        named = {"provider": provider, "model": model, "tier": tier or "", "region": region or ""}
        rows = self._clickhouse.query(_BY_MINUTE, self._days | named | {"ref": price_ref})
        schedule = self._book.schedule(*key)
        for minute, calls, cost in rows:
            card = schedule.card_at(minute)
            ref = card.price_ref if card else "no price"
            if ref != price_ref and (calls or cost):
                yield ref, calls, cost


def _yaml(name: str | None) -> str:
    """A name as YAML takes it for text."""
    text = str(name)
    return text if text.replace("-", "").replace(".", "").isalnum() else f"'{text}'"
