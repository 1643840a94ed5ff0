"""Batch decoding: many record values into one frame of valid events, and a refusal for each other.

The fast path decodes with pyruhvro and looks for suspects in columns. Whatever it cannot vouch for
(bytes that are not the canonical encoding of what was read, values near a broken rule) is judged
one by one by `schemas.wire`. So the result is, by construction, that of the single decoder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from schemas.avro_files import (
    AvroSchema,
    newest_usage_schema,
    usage_schema_by_fingerprint,
    usage_schemas,
)
from schemas.errors import InvalidEvent, Refusal
from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS, MAX_TOKENS_PER_EVENT
from schemas.usage import EARLIEST, LATEST, MAX_TEXT, VOID_PREFIX, UsageEvent
from schemas.wire import (
    SINGLE_OBJECT_HEADER,
    SINGLE_OBJECT_MAGIC,
    SchemaLookup,
    decode,
    framing_of,
    no_registry,
)

try:
    import pyruhvro
except ImportError:  # no wheel for this platform: the same results, about twenty times slower
    pyruhvro = None

DECODE_THREADS = 2
"""pyruhvro's chunks per call: one event loop thread keeps the other core busy with fetching."""
SMALLEST_SPLIT = 64
"""A failing run of this many datums is judged one by one: further halving costs more."""

_BLANKS = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
"""What `str.strip` strips; polars' own notion of white space leaves out U+001C to U+001F."""
_PLAIN_COST = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?$"
"""The costs that `UsageEvent` leaves as they are."""

INDEX = "index"
"""Column with the position of the event's value in the input."""

_POLARS_TYPES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "enum": pl.String(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "boolean": pl.Boolean(),
    "timestamp-micros": pl.Datetime("us", "UTC"),
    "map": pl.Map(pl.String(), pl.String()),
}


def _polars_type(avro_type: object) -> pl.DataType:
    if isinstance(avro_type, list):
        (avro_type,) = (branch for branch in avro_type if branch != "null")
    if isinstance(avro_type, dict):
        avro_type = avro_type.get("logicalType", avro_type["type"])
    return _POLARS_TYPES[str(avro_type)]


def usage_frame_schema() -> pl.Schema:
    """Columns of a decoded frame: the fields of the newest Avro schema, in its order."""
    return pl.Schema(
        {f["name"]: _polars_type(f["type"]) for f in newest_usage_schema().parsed["fields"]}
    )


@dataclass(frozen=True, slots=True)
class Decoded:
    """``events``: the valid ones with their `INDEX`, ascending. ``refusals``: index → reason."""

    events: pl.DataFrame
    refusals: dict[int, Refusal] = field(default_factory=dict)


def decode_batch(
    values: Sequence[bytes | None], lookup: SchemaLookup = no_registry, *, fast: bool = True
) -> Decoded:
    """Decode record values. Never raises for what is in them; the neighbours of a bad one live.

    Raises only what ``lookup`` raises when the registry cannot be asked.
    """
    if not fast or pyruhvro is None:
        events, refusals = _judge(list(enumerate(values)), lookup)
        return Decoded(events, refusals)
    column = pl.Series(values, dtype=pl.Binary)
    # A text that is too long can only be in a value that is as long: columns need no look.
    short = (column.bin.size() <= MAX_TEXT).fill_null(value=False)
    one_by_one = (~short).arg_true().to_list()
    runs: list[tuple[AvroSchema, int, pl.Series]] = []
    others = short
    for schema in reversed(usage_schemas()):
        if not others.any():
            break
        usual = others & column.bin.starts_with(SINGLE_OBJECT_MAGIC + schema.fingerprint)
        runs.append((schema, SINGLE_OBJECT_HEADER, usual.arg_true().cast(pl.Int64)))
        others = others & ~usual
    framed: dict[tuple[AvroSchema, int], list[int]] = defaultdict(list)
    for index in others.arg_true():
        try:
            framing = framing_of(values[index], lookup)
        except InvalidEvent:
            one_by_one.append(index)
            continue
        # A registry's copy of a version may have been written otherwise: ours has its types.
        own = framing.schema and usage_schema_by_fingerprint(framing.schema.fingerprint)
        if own:
            framed[own, framing.body].append(index)
        else:
            one_by_one.append(index)
    runs += [(*key, pl.Series(indices, dtype=pl.Int64)) for key, indices in framed.items()]
    frames: list[pl.DataFrame] = []
    for schema, body, positions in runs:
        datums = column.gather(positions).bin.slice(body)
        for frame, start, size in _decode_runs(datums, schema):
            run = positions.slice(start, size).alias(INDEX)
            if frame is None:
                one_by_one.extend(run)
                continue
            frame = frame.with_columns(run)
            suspect = _suspects(frame)
            if suspect.any():
                one_by_one.extend(frame.filter(suspect)[INDEX])
                frame = frame.filter(~suspect)
            frames.append(frame)
    judged, refusals = _judge([(index, values[index]) for index in sorted(one_by_one)], lookup)
    if judged.height or not frames:
        frames.append(judged)
    events = frames[0] if len(frames) == 1 else pl.concat(frames).sort(INDEX)
    return Decoded(events, refusals)


def _judge(
    records: Sequence[tuple[int, bytes | None]], lookup: SchemaLookup
) -> tuple[pl.DataFrame, dict[int, Refusal]]:
    rows: list[UsageEvent] = []
    indices: list[int] = []
    refusals: dict[int, Refusal] = {}
    for index, value in records:
        try:
            rows.append(decode(value, lookup))
        except InvalidEvent as error:
            refusals[index] = error.refusal
        else:
            indices.append(index)
    return events_frame(rows).with_columns(pl.Series(INDEX, indices, dtype=pl.Int64)), refusals


def events_frame(events: Sequence[UsageEvent]) -> pl.DataFrame:
    """Events as a frame with the columns of `usage_frame_schema`."""
    rows = [event.model_dump() for event in events]
    return pl.DataFrame(rows, schema=usage_frame_schema(), orient="row")


def _decode_runs(
    datums: pl.Series, schema: AvroSchema
) -> Iterator[tuple[pl.DataFrame | None, int, int]]:
    """Frames that cover all datums as (frame, start, size); None where they must be judged."""
    pending = [(0, len(datums))] if len(datums) else []
    while pending:
        start, size = pending.pop()
        frame = _decode_run(datums.slice(start, size), schema)
        if frame is not None or size <= SMALLEST_SPLIT:
            yield frame, start, size
        else:
            half = size // 2
            pending += [(start + half, size - half), (start, half)]


def _decode_run(datums: pl.Series, schema: AvroSchema) -> pl.DataFrame | None:
    try:
        batches = pyruhvro.deserialize_array_threaded(datums.to_list(), schema.text, DECODE_THREADS)
        table = pa.Table.from_batches(batches)
        table.validate(full=True)  # pyruhvro does not look whether text is UTF-8
        again = [
            chunk
            for batch in batches
            for chunk in pyruhvro.serialize_record_batch(batch, schema.text, 1)
        ]
    except ValueError:
        return None
    # True where each datum is exactly the canonical encoding of what was read from it: pyruhvro
    # ignores trailing bytes and reads some that are no Avro; neither survives this.
    if not datums.equals(pl.Series(pa.chunked_array(again, type=pa.binary()))):
        return None
    frame = pl.DataFrame(table.combine_chunks())
    # What a later version added is null in the events of an older one.
    return frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in usage_frame_schema().items()
    ).with_columns(pl.col("occurred_at").dt.replace_time_zone("UTC"))


def _suspects(frame: pl.DataFrame) -> pl.Series:
    """True for every row that may break a rule of `UsageEvent`; those are judged one by one.

    Columns without any value are passed over: most events leave most of them out.
    """
    used = {name for name in frame.columns if frame[name].null_count() < frame.height}
    buckets = [pl.col(name).fill_null(0) for name in BUCKET_NAMES if name in used]
    total = pl.sum_horizontal(buckets) if buckets else pl.lit(0)
    given = [pl.col(name).is_not_null() for name in BUCKET_NAMES if name in used]
    any_given = pl.any_horizontal(given) if given else pl.lit(value=False)
    is_void = pl.col("kind") == "void"
    checks = [
        *[~bucket.is_between(0, MAX_TOKENS_PER_EVENT) for bucket in buckets],
        total > MAX_TOKENS_PER_EVENT,
        any_given == (pl.col("usage_source") == "missing"),
        *[
            pl.col(name).str.strip_chars(_BLANKS).str.len_bytes() == 0
            for name in ("event_id", "provider", "model", "team")
        ],
        ~pl.col("occurred_at").is_between(EARLIEST, LATEST, closed="left"),
        is_void != pl.col("event_id").str.starts_with(VOID_PREFIX),
    ]
    optional = {
        "voids": pl.when(is_void)
        .then((pl.col("voids") == "") | (pl.col("event_id") != VOID_PREFIX + pl.col("voids")))
        .otherwise(pl.col("voids").is_not_null())
        .fill_null(value=True),
        "total_tokens": pl.col("total_tokens") != total,
        "attempt": pl.col("attempt") < 1,
        "latency_ms": pl.col("latency_ms") < 0,
        "context_tokens": pl.col("context_tokens") < 0,
        "prefix_tokens": _no_part_of_the_prompt([n for n in INPUT_BUCKETS if n in used]),
        "provider_cost": ~pl.col("provider_cost").str.contains(_PLAIN_COST),
        "tags": pl.col("tags").map.keys().list.n_unique() != pl.col("tags").map.len(),
    }
    checks += [check.fill_null(value=False) for name, check in optional.items() if name in used]
    if "voids" not in used:
        checks.append(is_void)
    return frame.select(pl.any_horizontal(checks).fill_null(value=True)).to_series()


def _no_part_of_the_prompt(buckets: Sequence[str]) -> pl.Expr:
    """Where a prefix is longer than its prompt; ``buckets``: those of the prompt that are used."""
    prefix = pl.col("prefix_tokens")
    if not buckets:
        return prefix < 0
    known = pl.any_horizontal(pl.col(name).is_not_null() for name in buckets)
    prompt = pl.sum_horizontal(pl.col(name).fill_null(0) for name in buckets)
    return (prefix < 0) | (known & (prefix > prompt))
