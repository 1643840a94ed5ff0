"""The price book as lines of rates in ClickHouse, where events are rated in SQL.

A line is one key of the price book, one stretch of time, one window of the UTC day and one level of
input size. The lines of a key leave no gap: where there is no price, there is a line without one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from schemas.tokens import BUCKET_NAMES
from schemas.usage import LATEST
from sinks.clickhouse import ClickHouse, arrow_table
from streams.rating.cards import RateCard
from streams.rating.pricebook import PriceBook
from streams.rating.schedule import EPOCH, MINUTES_PER_DAY, Period, minute_of

Key = tuple[str, str, str | None, str | None]
"""Provider, model, service tier, region: as the events say them."""

_LATEST = minute_of(LATEST)
_RATE = pa.decimal128(38, 0)
_SCHEMA = pa.schema(
    [
        ("line", pa.uint64()),
        ("book", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("service_tier", pa.string()),
        ("region", pa.string()),
        ("valid_from", pa.timestamp("s", "UTC")),
        ("valid_until", pa.timestamp("s", "UTC")),
        ("day_from", pa.uint16()),
        ("day_until", pa.uint16()),
        ("above_input_tokens", pa.int64()),
        ("upto_input_tokens", pa.int64()),
        *((name, _RATE) for name in BUCKET_NAMES),
        ("per_call", _RATE),
        ("denominator", pa.int64()),
        ("price_ref", pa.string()),
        ("source", pa.string()),
        ("known_at", pa.timestamp("ms", "UTC")),
    ]
)
_KNOWN = "SELECT line FROM prices WHERE book = {book:String}"


def record_prices(clickhouse: ClickHouse, book: PriceBook, keys: Iterable[Key]) -> int:
    """Record the lines of these keys that are not in `prices` yet; how many. Repeatable.

    Two that record the same at the same time may both write it: who reads takes a line once.
    Raises ClickHouseError.
    """
    known = {int(line) for (line,) in clickhouse.query(_KNOWN, {"book": book.version})}
    now = datetime.now(UTC)
    lines = [
        {**line, "known_at": now} for line in price_lines(book, keys) if line["line"] not in known
    ]
    if lines:
        clickhouse.insert("prices", arrow_table(_SCHEMA, lines))
    return len(lines)


def price_lines(book: PriceBook, keys: Iterable[Key]) -> Iterator[dict[str, Any]]:
    """Every line of these keys: the columns of `prices`, but ``known_at``."""
    for provider, model, service_tier, region in keys:
        key = {
            "book": book.version,
            "provider": provider,
            "model": model,
            "service_tier": service_tier,
            "region": region,
        }
        periods = book.schedule(provider, model, service_tier, region).periods
        # What begins later than any event may happen is not needed, nor in DateTime's range.
        periods = tuple(period for period in periods if period.start < _LATEST)
        for line in _lines(periods):
            content = key | line
            yield {"line": _hash(content), **content}


def _lines(periods: Sequence[Period]) -> Iterator[dict[str, Any]]:
    ends = [period.start for period in periods[1:]]
    for period, end in zip(periods, [*ends, None], strict=True):
        window_ends = [*(window.start for window in period.windows[1:]), MINUTES_PER_DAY]
        for window, closes in zip(period.windows, window_ends, strict=True):
            for level in _levels(window.card):
                yield {
                    "valid_from": _instant(period.start),
                    "valid_until": None if end is None else _instant(end),
                    "day_from": window.start,
                    "day_until": closes,
                    **level,
                }


def _levels(card: RateCard | None) -> Iterator[dict[str, Any]]:
    if card is None:
        yield {
            **_bounds((), 0),
            **dict.fromkeys(BUCKET_NAMES),
            "per_call": None,
            "denominator": 1,
            "price_ref": None,
            "source": "",
        }
        return
    for level, rates in enumerate(card.rates):
        yield {
            **_bounds(card.thresholds, level),
            **dict(zip(BUCKET_NAMES, rates, strict=True)),
            "per_call": card.per_call[level],
            "denominator": card.denominator,
            "price_ref": card.price_ref,
            "source": card.source.name,
        }


def _bounds(thresholds: Sequence[int], level: int) -> dict[str, int | None]:
    return {
        "above_input_tokens": thresholds[level - 1] if level else None,
        "upto_input_tokens": thresholds[level] if level < len(thresholds) else None,
    }


def _instant(minute: int) -> datetime:
    return EPOCH + timedelta(minutes=minute)


def _hash(content: dict[str, Any]) -> int:
    text = json.dumps(content, default=str, sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
