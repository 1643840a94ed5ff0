"""From records to rated events: which of them are valid, and why the others are refused.

Meter, archive and whoever rebuilds a window of ids ask here, so that they decide alike. The answer
depends on the record and on the program alone, never on the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from schemas.batch import INDEX, decode_batch
from schemas.errors import Refusal, SpendstreamError
from schemas.usage import FUTURE_LIMIT
from schemas.wire import SchemaLookup
from streams.rating.pricebook import PriceBook
from streams.rating.rate import rate
from streams.usage_consumer import Record

Read = Callable[[Sequence[Record]], tuple[pl.DataFrame, dict[int, Refusal]]]
"""`decoded_records` with its prices and schemas."""

_NEIGHBOURS = (SpendstreamError, ConnectionError)
"""What the schema registry raises when it cannot be asked: not the record's fault."""
_ENDINGS = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)


def decoded_records(
    records: Sequence[Record], book: PriceBook, lookup: SchemaLookup
) -> tuple[pl.DataFrame, dict[int, Refusal]]:
    """Valid events, rated, with ``partition`` and ``offset``; refusals by position in ``records``.

    A record that makes the program fail is refused as ``poison``: its neighbours are not held up.
    Raises what ``lookup`` raises when the schema registry cannot be asked.
    """
    try:
        return _decoded(records, book, lookup)
    except (*_NEIGHBOURS, *_ENDINGS):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a Rust library is no Exception
        if len(records) == 1:
            nothing, _ = _decoded([], book, lookup)
            return nothing, {0: _poison(error)}
    middle = len(records) // 2
    left, refused_left = decoded_records(records[:middle], book, lookup)
    right, refused_right = decoded_records(records[middle:], book, lookup)
    right = right.with_columns(pl.col(INDEX) + middle)
    refused = refused_left | {index + middle: why for index, why in refused_right.items()}
    return pl.concat([left, right]), refused


def _decoded(
    records: Sequence[Record], book: PriceBook, lookup: SchemaLookup
) -> tuple[pl.DataFrame, dict[int, Refusal]]:
    decoded = decode_batch([record.value for record in records], lookup)
    index = decoded.events[INDEX]
    events = decoded.events.with_columns(
        pl.Series("partition", [r.partition for r in records], dtype=pl.Int32).gather(index),
        pl.Series("offset", [r.offset for r in records], dtype=pl.Int64).gather(index),
    )
    appended = pl.Series([r.timestamp for r in records], dtype=pl.Int64).gather(index)
    early = _from_the_future(events["occurred_at"], appended)
    refusals = decoded.refusals
    if early.any():
        refusals = refusals | {
            at: _too_early(records[at]) for at in events.filter(early)[INDEX].to_list()
        }
        events = events.filter(~early)
    return rate(events, book), refusals


def _from_the_future(occurred_at: pl.Series, appended_ms: pl.Series) -> pl.Series:
    """True where an event says that it happened later than its record was appended, by too much.

    A record without a time (below zero) cannot be judged, and is believed.
    """
    ahead = occurred_at.dt.epoch("ms") - appended_ms
    limit = int(FUTURE_LIMIT.total_seconds() * 1000)
    return (ahead > limit) & (appended_ms >= 0)


def _too_early(record: Record) -> Refusal:
    minutes = int(FUTURE_LIMIT.total_seconds() // 60)
    at = pl.Series([record.timestamp]).cast(pl.Datetime("ms")).to_list()[0]
    return Refusal(
        "time_in_future",
        f"occurred_at: is more than {minutes} minutes after the record was appended "
        f"({at:%Y-%m-%dT%H:%M:%SZ}); is the clock of the producer right?",
    )


def _poison(error: BaseException) -> Refusal:
    reason = " ".join(str(error).split())[:200]
    return Refusal("poison", f"the meter cannot process it: {type(error).__name__}: {reason}")
