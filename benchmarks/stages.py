"""The meter's steps one by one, without a broker, and what a call to the client costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import spendstream

from benchmarks.broker import Rate
from benchmarks.events import Usage
from schemas.batch import decode_batch
from streams.metering.rollup import rollup
from streams.rating.pricebook import PriceBook
from streams.rating.rate import rate

BATCH = 50_000
EMITS = 5_000


def decode_rate(events: Sequence[Usage]) -> Rate:
    """`schemas.batch.decode_batch`: bytes to checked columns."""
    values = [event.value for event in events[:BATCH]]
    return _timed(len(values), lambda: decode_batch(values))


def rating_rate(events: Sequence[Usage], book: PriceBook) -> Rate:
    """`streams.rating.rate.rate`: columns to costs."""
    decoded = _decoded(events)
    return _timed(decoded.height, lambda: rate(decoded, book))


def rollup_rate(events: Sequence[Usage], book: PriceBook) -> Rate:
    """`streams.metering.rollup.rollup`: rated events to journal rows."""
    rated = rate(_decoded(events), book)
    return _timed(rated.height, lambda: rollup(rated))


def emit_rate(kafka: str) -> Rate:
    """`spendstream.Emitter.emit` in the caller's thread, its worker delivering meanwhile."""
    emitter = spendstream.Emitter(f"kafka://{kafka}", max_pending=2 * EMITS)
    try:
        started = time.perf_counter()
        for number in range(EMITS):
            emitter.emit(
                provider="openai",
                model="gpt-4o",
                team="search",
                application="assistant",
                user="user-001",
                input_tokens=1200,
                output_tokens=number,
            )
        return Rate(EMITS, time.perf_counter() - started)
    finally:
        emitter.close()


def _decoded(events: Sequence[Usage]) -> pl.DataFrame:
    part = events[:BATCH]
    frame = decode_batch([event.value for event in part]).events
    return frame.with_columns(
        pl.Series("partition", [event.partition for event in part], dtype=pl.Int32),
        pl.int_range(pl.len(), dtype=pl.Int64).alias("offset"),
    )


def _timed(count: int, action: Callable[[], Any]) -> Rate:
    action()
    started = time.perf_counter()
    action()
    return Rate(count, time.perf_counter() - started)
