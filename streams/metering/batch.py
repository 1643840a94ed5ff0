"""One micro-batch, from record values to what is appended: the pure heart of the meter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from schemas.batch import INDEX
from schemas.errors import Refusal
from schemas.journal import Range, encode_rows
from schemas.wire import SchemaLookup
from streams.metering.dedupe import IdWindow
from streams.metering.events import decoded_records
from streams.metering.rollup import rollup
from streams.rating.pricebook import PriceBook
from streams.usage_consumer import Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is not metered, and why."""

    record: Record
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Draft:
    """What one journal entry will hold."""

    ranges: tuple[Range, ...]
    rows: pa.Table
    payload: bytes


@dataclass(frozen=True, slots=True)
class Metered:
    """The outcome of one micro-batch: entries to append in this order, after the dead letters."""

    drafts: tuple[Draft, ...]
    dead_letters: tuple[DeadLetter, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """The records read of one partition: from ``start``, the offset due next, to the last one.

    ``lost`` offsets at its beginning had been removed by retention.
    """

    source: str
    partition: int
    start: int
    records: Sequence[Record]
    lost: int = 0


def meter_batch(
    spans: Sequence[Span],
    windows: Mapping[int, IdWindow],
    book: PriceBook,
    lookup: SchemaLookup,
    max_payload: int,
) -> Metered:
    """Decode, drop repeats, rate and roll up. Moves the windows on; everything else is pure."""
    records = [record for span in spans for record in span.records]
    events, refusals = decoded_records(records, book, lookup)
    seen = events.select("partition", "offset", "event_id", INDEX)
    fates = [_fates_of(seen.filter(pl.col("partition") == p), records, windows[p]) for p in windows]
    refused = [(records[i].partition, records[i].offset, "refused") for i in sorted(refusals)]
    outcome = pl.concat([*fates, pl.DataFrame(refused, schema=_FATES, orient="row")])
    metered = outcome.filter(pl.col("fate") == "metered")
    counted = events
    if metered.height < events.height:
        counted = events.join(
            metered, on=["partition", "offset"], how="semi", maintain_order="left"
        )
    ranges = tuple(
        Range(
            source=span.source,
            partition=span.partition,
            start=span.start,
            through=span.records[-1].offset,
            lost=span.lost,
        )
        for span in spans
    )
    drafts = tuple(_drafts(ranges, counted, outcome, max_payload))
    dead = tuple(DeadLetter(records[i], refusals[i]) for i in sorted(refusals))
    return Metered(drafts, dead)


_FATES = pl.Schema({"partition": pl.Int32, "offset": pl.Int64, "fate": pl.String})


def _fates_of(events: pl.DataFrame, records: Sequence[Record], window: IdWindow) -> pl.DataFrame:
    """What becomes of one partition's valid events: metered, duplicate, or conflict."""
    repeats = window.observe(
        events["offset"].to_list(),
        events["event_id"].to_list(),
        [hash(records[index].value) for index in events[INDEX].to_list()],
    )
    fates = ["metered"] * events.height
    for position in repeats.duplicates:
        fates[position] = "duplicate"
    for position in repeats.conflicts:
        fates[position] = "conflict"
    return events.select("partition", "offset", pl.Series("fate", fates, dtype=pl.String))


def _drafts(
    ranges: tuple[Range, ...], counted: pl.DataFrame, outcome: pl.DataFrame, max_payload: int
) -> Iterator[Draft]:
    yield from _fitting(ranges, rollup(counted), counted, outcome, max_payload)


def _fitting(
    ranges: tuple[Range, ...],
    rows: pa.Table,
    counted: pl.DataFrame,
    outcome: pl.DataFrame,
    max_payload: int,
) -> Iterator[Draft]:
    """Entries that cover the ranges; in halves, in order, where one would be too large to send."""
    payload = encode_rows(rows)
    if len(payload) <= max_payload or counted.height <= 1:
        yield Draft(tuple(_with_counts(r, counted, outcome) for r in ranges), rows, payload)
        return
    for half in _halves(ranges):
        inside = counted.filter(pl.any_horizontal(_inside(covered) for covered in half))
        # A row belongs to one partition: only a range that is cut must be rolled up anew.
        part = rollup(inside) if len(ranges) == 1 else _rows_of(half, rows)
        yield from _fitting(half, part, inside, outcome, max_payload)


def _rows_of(ranges: tuple[Range, ...], rows: pa.Table) -> pa.Table:
    wanted = pl.Series(rows["partition"]).is_in([covered.partition for covered in ranges])
    return rows.filter(wanted.to_arrow())


def _halves(ranges: tuple[Range, ...]) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    if len(ranges) > 1:
        middle = len(ranges) // 2
        return ranges[:middle], ranges[middle:]
    (whole,) = ranges
    # What retention removed stays with the first half, which covers all of it.
    cut = max((whole.start + whole.through) // 2, whole.start + whole.lost - 1)
    return (
        (whole.model_copy(update={"through": cut}),),
        (whole.model_copy(update={"start": cut + 1, "lost": 0}),),
    )


def _inside(covered: Range) -> pl.Expr:
    return (pl.col("partition") == covered.partition) & pl.col("offset").is_between(
        covered.start, covered.through
    )


def _with_counts(covered: Range, counted: pl.DataFrame, outcome: pl.DataFrame) -> Range:
    fates = outcome.filter(_inside(covered))["fate"]
    unpriced = counted.filter(_inside(covered) & (pl.col("rating") == "unpriced")).height
    conflicts = int((fates == "conflict").sum())
    return covered.model_copy(
        update={
            "events": int((fates == "metered").sum()),
            "unpriced": unpriced,
            "duplicates": int((fates == "duplicate").sum()) + conflicts,
            "conflicts": conflicts,
            "refused": int((fates == "refused").sum()),
        }
    )
