"""Rating: a frame of usage events gets costs, in integer columns.

`PriceBook` answers per provider, model, service tier, region and minute. Of a batch only the few
distinct keys are looked up in Python; which card holds for which event is then found by binary
search in columns, so that a batch over many hours costs no more than one over a minute.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from itertools import zip_longest
from operator import add

import polars as pl

from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS
from streams.rating.cards import RateCard
from streams.rating.pricebook import PriceBook
from streams.rating.schedule import MINUTES_PER_DAY, Schedule

PRICE_KEY = ("provider", "model", "service_tier", "region")
SERVED_FROM_CACHE = "served from cache"
"""The price reference of a call that a cache answered: no provider billed it."""

_KEY_SPAN = 1 << 32  # minutes since the epoch stay below it until the year 10000
_MICROSECONDS_PER_MINUTE = 60_000_000


def rate(events: pl.DataFrame, book: PriceBook) -> pl.DataFrame:
    """Add ``cost_pico``, ``rating`` and ``price_ref`` to valid events, in their order.

    ``events`` has the columns of `schemas.batch.usage_frame_schema`, and perhaps more.

    - ``cost_pico`` (Int64): pico-dollars (1e-12 USD), rounded half to even once per event, negative
      for a void; null where unknown.
    - ``rating``: ``priced``; ``unpriced`` (no card, or tokens in a bucket without a rate);
      ``no_usage`` (the tokens are missing). A call served from a cache is priced, at 0, whether or
      not its tokens and its model's price are known: nothing was billed.
    - ``price_ref``: which price; null unless priced.
    """
    keys = events.select(PRICE_KEY).unique(maintain_order=True)
    plan = _Plan(book.schedule(*row) for row in keys.iter_rows())
    key = (
        events.select(PRICE_KEY)
        .join(
            keys.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("key")),
            on=PRICE_KEY,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        .get_column("key")
    )
    line = plan.lines_of(key, events["occurred_at"].to_physical() // _MICROSECONDS_PER_MINUTE)
    used = [name for name in BUCKET_NAMES if events[name].null_count() < events.height]
    line = line + plan.tier_of(line, _total(events, [n for n in INPUT_BUCKETS if n in used]))
    rates = plan.lines.select(
        *(pl.col(name).gather(line) for name in (*used, _PER_CALL, _DENOMINATOR)),
        pl.col(_REFERENCE).gather(line),
    )
    tokens = events.select(pl.col(name).fill_null(0).alias(_tokens(name)) for name in used)
    unknown = pl.any_horizontal(
        pl.col(_REFERENCE).is_null(),
        *((pl.col(_tokens(name)) > 0) & pl.col(name).is_null() for name in used),
    )
    total = reduce(
        add,
        (pl.col(_tokens(name)).cast(plan.dtype) * pl.col(name).fill_null(0) for name in used),
        pl.col(_PER_CALL),
    )
    from_cache = pl.col("served_from_cache").fill_null(value=False)
    missing = pl.col("usage_source") == "missing"
    sign = pl.when(pl.col("kind") == "void").then(-1).otherwise(1)
    given = events.select("served_from_cache", "usage_source", "kind")
    result = (
        pl.concat([given, tokens, rates], how="horizontal")
        .with_columns(unknown.alias("unknown"), plan.rounded(total).alias("cost"))
        .select(
            pl.when(from_cache)
            .then(0)
            .when(~missing & ~pl.col("unknown"))
            .then(pl.col("cost") * sign)
            .cast(pl.Int64)
            .alias("cost_pico"),
            pl.when(from_cache)
            .then(pl.lit("priced"))
            .when(missing)
            .then(pl.lit("no_usage"))
            .when(pl.col("unknown"))
            .then(pl.lit("unpriced"))
            .otherwise(pl.lit("priced"))
            .alias("rating"),
            pl.when(from_cache)
            .then(pl.lit(SERVED_FROM_CACHE))
            .when(~missing & ~pl.col("unknown"))
            .then(pl.col(_REFERENCE))
            .alias("price_ref"),
        )
    )
    return events.hstack(result)


_PER_CALL = "per_call"
_DENOMINATOR = "denominator"
_REFERENCE = "reference"


def _tokens(bucket: str) -> str:
    return f"{bucket}:tokens"


def _total(events: pl.DataFrame, buckets: list[str]) -> pl.Series:
    if not buckets:
        return pl.zeros(events.height, dtype=pl.Int64, eager=True)
    return events.select(pl.sum_horizontal(buckets)).to_series()


class _Plan:
    """The schedules of a batch's keys as sorted tables, and their cards as lines of rates.

    A card takes one line per tier, in order; line 0 is that of no card. The third table, by line,
    holds the thresholds of the card.
    """

    def __init__(self, schedules: Iterable[Schedule]) -> None:
        self._period_starts: list[int] = []
        self._window_starts: list[int] = []
        self._window_lines: list[int] = []
        self._cards: dict[RateCard | None, int] = {}
        self._lines: list[tuple[RateCard | None, int]] = []
        for key, schedule in enumerate(schedules):
            for period in schedule.periods:
                number = len(self._period_starts)
                self._period_starts.append(key * _KEY_SPAN + period.start)
                for window in period.windows:
                    self._window_starts.append(number * MINUTES_PER_DAY + window.start)
                    self._window_lines.append(self._line(window.card))
        cards = [card for card in self._cards if card is not None]
        # 64 bits hold a whole number of pico-dollars; over a denominator it takes 128.
        wide = any(card.denominator > 1 for card in cards)
        self.dtype: type[pl.DataType] = pl.Int128 if wide else pl.Int64
        self.lines = self._table()

    def _line(self, card: RateCard | None) -> int:
        line = self._cards.get(card)
        if line is None:
            line = self._cards[card] = len(self._lines)
            tiers = 1 if card is None else len(card.rates)
            self._lines.extend((card, tier) for tier in range(tiers))
        return line

    def _table(self) -> pl.DataFrame:
        rates = [card.rates[tier] if card else () for card, tier in self._lines]
        columns = zip_longest(*rates, [None] * len(BUCKET_NAMES))
        by_bucket = [list(column[:-1]) for column in columns]
        per_call = [(card.per_call[tier] or 0) if card else 0 for card, tier in self._lines]
        denominators = [card.denominator if card else 1 for card, _ in self._lines]
        references = [card.price_ref if card else None for card, _ in self._lines]
        return pl.DataFrame(
            [
                *(
                    pl.Series(name, column, dtype=self.dtype)
                    for name, column in zip(BUCKET_NAMES, by_bucket, strict=True)
                ),
                pl.Series(_PER_CALL, per_call, dtype=self.dtype),
                pl.Series(_DENOMINATOR, denominators, dtype=self.dtype),
                pl.Series(_REFERENCE, references, dtype=pl.String),
            ]
        )

    def lines_of(self, key: pl.Series, minute: pl.Series) -> pl.Series:
        """The first line of the card that holds for a key at a minute since the epoch."""
        periods = _preceding(self._period_starts, key * _KEY_SPAN + minute)
        day_minute = minute % MINUTES_PER_DAY
        windows = _preceding(self._window_starts, periods * MINUTES_PER_DAY + day_minute)
        return pl.Series(self._window_lines, dtype=pl.Int64).gather(windows)

    def tier_of(self, line: pl.Series, input_tokens: pl.Series) -> pl.Series:
        """How many thresholds of its card an event exceeds."""
        thresholds = [card.thresholds if card else () for card, _ in self._lines]
        tier = pl.zeros(line.len(), dtype=pl.Int64, eager=True)
        for column in zip_longest(*thresholds):
            limit = pl.Series(column, dtype=pl.Int64).gather(line)
            tier = tier + (input_tokens > limit).fill_null(value=False).cast(pl.Int64)
        return tier

    def rounded(self, total: pl.Expr) -> pl.Expr:
        """Whole pico-dollars of a total of numerators, half to even."""
        if self.dtype is pl.Int64:
            return total
        denominator = pl.col(_DENOMINATOR)
        quotient, twice = total // denominator, (total % denominator) * 2
        up = (twice > denominator) | ((twice == denominator) & (quotient % 2 == 1))
        return quotient + up.cast(self.dtype)


def _preceding(starts: list[int], values: pl.Series) -> pl.Series:
    """The index of the last start that is not above each value."""
    if len(starts) == 1:
        return pl.zeros(values.len(), dtype=pl.Int64, eager=True)
    return pl.Series(starts, dtype=pl.Int64).search_sorted(values, side="right").cast(pl.Int64) - 1
