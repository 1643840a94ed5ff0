"""The spend journal's entries: what they cover in the headers, rated and rolled-up rows as payload.

A row is one minute of event time, one source partition and one attribution. The payload is an Arrow
IPC stream (zstd). It is internal: whoever wants spend reads ClickHouse.

A usage entry says which offsets its rows come from. An adjustment corrects what was counted before:
its rows are added, and may be negative.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, TypeAdapter

from schemas.errors import SpendstreamError
from schemas.tokens import BUCKET_NAMES

log = logging.getLogger(__name__)

JOURNAL_VERSION = 1
KIND_HEADER = "spendstream.kind"
VERSION_HEADER = "spendstream.version"
WRITER_HEADER = "spendstream.writer"
RANGES_HEADER = "spendstream.ranges"
ADJUSTMENT_HEADER = "spendstream.adjustment"

DIMENSIONS: dict[str, pa.DataType] = {
    "department": pa.string(),
    "team": pa.string(),
    "project": pa.string(),
    "use_case": pa.string(),
    "application": pa.string(),
    "environment": pa.string(),
    "user": pa.string(),
    "customer": pa.string(),
    "workflow": pa.string(),
    "provider": pa.string(),
    "model": pa.string(),
    "region": pa.string(),
    "service_tier": pa.string(),
    "status": pa.string(),
    "error_code": pa.string(),
    "routing_tier": pa.string(),
    "kind": pa.string(),
    "usage_source": pa.string(),
    "rating": pa.string(),
    "price_ref": pa.string(),
    "served_from_cache": pa.bool_(),
    "is_retry": pa.bool_(),
    "is_shadow": pa.bool_(),
}
"""What spend can be asked by. ``is_retry``: an attempt after the first; ``is_shadow``: a copy of a
call for comparison. ``rating``: priced, unpriced (no price known) or no_usage (no tokens known)."""

TRUE_UP = "true_up"
"""Money without events, as an invoice or an agreement says it: the reason of such an adjustment,
and the ``kind`` of its rows. They have neither calls nor tokens, and nothing in the archive."""

MONEY = pa.decimal128(38, 12)
"""USD with twelve decimals: whole pico-dollars."""

ROW_SCHEMA = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("minute", pa.timestamp("s", "UTC"), nullable=False),
        *(pa.field(name, dtype) for name, dtype in DIMENSIONS.items()),
        pa.field("calls", pa.int64(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in BUCKET_NAMES),
        pa.field("cost", MONEY),
        pa.field("provider_cost", MONEY),
    ]
)
"""``calls`` and tokens are negative where a void takes them back; an unknown ``cost`` is null."""


class UnknownEntry(SpendstreamError):
    """A journal entry of a kind or version that this program does not know: it must not go on."""


@dataclass(frozen=True, slots=True, order=True)
class SourcePartition:
    """Where usage came from: ``source`` is `<cluster id>/<topic>`."""

    source: str
    partition: int

    def __str__(self) -> str:
        return f"{self.source}[{self.partition}]"


class Range(BaseModel):
    """Offsets ``start`` to ``through``, both included, that an entry covers; what became of them.

    ``events`` were metered (``unpriced`` of them without a price); ``duplicates`` were dropped, and
    ``conflicts`` of those had another payload than the first of their id; ``refused`` went to the
    dead letters; ``lost`` had been removed by the topic's retention before they could be read.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    partition: int
    start: int
    through: int
    events: int = 0
    unpriced: int = 0
    duplicates: int = 0
    conflicts: int = 0
    refused: int = 0
    lost: int = 0

    @property
    def key(self) -> SourcePartition:
        """The partition that the range belongs to."""
        return SourcePartition(self.source, self.partition)


_RANGES = TypeAdapter(tuple[Range, ...])


class Adjustment(BaseModel):
    """A correction of what the offsets ``start`` to ``through`` of a partition were counted as.

    It counts once per ``adjustment_id``, however often it is appended. ``reason``: what kind of
    correction (`reconciliation`, `repricing`, `true_up`: that one is about no offsets, from 0
    through -1); ``note``: for the reader of the ledger.
    """

    model_config = ConfigDict(frozen=True)

    adjustment_id: str
    reason: str
    source: str
    partition: int
    start: int
    through: int
    note: str = ""

    @property
    def key(self) -> SourcePartition:
        """The partition whose figures it corrects."""
        return SourcePartition(self.source, self.partition)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: who wrote it, what it covers or adjusts, its rows (`ROW_SCHEMA`).

    ``damage`` says why a record cannot be read; it covers nothing then, for every reader alike.
    """

    writer: str
    ranges: tuple[Range, ...]
    rows: pa.Table
    adjustment: Adjustment | None = None
    damage: str = ""

    def rows_of(self, accepted: Iterable[Range]) -> pa.Table:
        """The rows that belong to the ranges that a reader accepted."""
        partitions = {r.partition for r in accepted}
        if partitions == {r.partition for r in self.ranges}:
            return self.rows
        mask = pl.Series(self.rows["partition"]).is_in(sorted(partitions))
        return self.rows.filter(mask.to_arrow())


@dataclass(frozen=True, slots=True)
class Counted:
    """What of one entry counts: its accepted ranges or its adjustment, and the rows of these."""

    ranges: tuple[Range, ...]
    adjustment: Adjustment | None
    rows: pa.Table

    @property
    def source(self) -> str:
        """Where the counted rows came from; an entry has one source. Empty where nothing counts."""
        if self.adjustment is not None:
            return self.adjustment.source
        return self.ranges[0].source if self.ranges else ""


def encode_rows(rows: pa.Table) -> bytes:
    """The payload of an entry with these rows."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, ROW_SCHEMA, options=options) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


def entry_headers(writer: str, ranges: Sequence[Range]) -> list[tuple[str, bytes]]:
    """The headers of a usage entry."""
    return [
        *_headers("usage", writer),
        (RANGES_HEADER, _RANGES.dump_json(tuple(ranges), exclude_defaults=True)),
    ]


def adjustment_headers(writer: str, adjustment: Adjustment) -> list[tuple[str, bytes]]:
    """The headers of an adjustment."""
    return [
        *_headers("adjustment", writer),
        (ADJUSTMENT_HEADER, adjustment.model_dump_json().encode()),
    ]


def _headers(kind: str, writer: str) -> list[tuple[str, bytes]]:
    return [
        (KIND_HEADER, kind.encode()),
        (VERSION_HEADER, str(JOURNAL_VERSION).encode()),
        (WRITER_HEADER, writer.encode()),
    ]


def decode_entry(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> Entry:
    """Read an entry. Raises UnknownEntry for one of a newer program.

    What cannot be read (a record of somebody else's, broken headers, broken rows) covers nothing.
    Every reader decides so from the record alone, hence alike; who wrote it sees that nothing of
    it was accepted, and appends anew. So one bad record does not hold up the others.
    """
    known: Mapping[str, bytes] = dict(headers)
    if KIND_HEADER not in known:
        return _damaged("it is no entry of ours")
    kind, version = known[KIND_HEADER], known.get(VERSION_HEADER)
    if kind not in {b"usage", b"adjustment"} or version != str(JOURNAL_VERSION).encode():
        raise UnknownEntry(
            f"journal entry of kind {kind!r}, version {version!r}; this program reads usage and "
            f"adjustments, version {JOURNAL_VERSION}: is it older than what wrote it?"
        )
    try:
        writer = known[WRITER_HEADER].decode()
        ranges: tuple[Range, ...] = ()
        adjustment = None
        if kind == b"usage":
            ranges = _RANGES.validate_json(known[RANGES_HEADER])
        else:
            adjustment = Adjustment.model_validate_json(known[ADJUSTMENT_HEADER])
    except (KeyError, ValueError) as error:
        return _damaged(f"its headers cannot be read: {error}")
    try:
        rows = pa.ipc.open_stream(value or b"").read_all()
    except (ValueError, OSError) as error:  # Arrow raises the latter for what is cut short
        return _damaged(f"its rows cannot be read: {error}")
    if not rows.schema.equals(ROW_SCHEMA):
        return _damaged("its rows do not have the columns of its version")
    return Entry(writer=writer, ranges=ranges, rows=rows, adjustment=adjustment)


def _damaged(reason: str) -> Entry:
    reason = " ".join(reason.split())
    log.error("a record on the journal is passed over: %s", reason)
    return Entry(writer="", ranges=(), rows=ROW_SCHEMA.empty_table(), damage=reason)


def pico_to_money(pico: pa.Array) -> pa.Array:
    """Whole pico-dollars (decimal128 of scale 0) as USD of scale 12: the same integers, renamed."""
    whole = pico.cast(pa.decimal128(38, 0))
    return pa.Array.from_buffers(MONEY, len(whole), whole.buffers(), whole.null_count, whole.offset)


def money_text(amount: Decimal) -> str:
    """USD in full, without an exponent: `0.000012`."""
    return f"{amount.normalize():f}"
