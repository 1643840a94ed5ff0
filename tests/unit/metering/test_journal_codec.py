from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from schemas.journal import (
    DIMENSIONS,
    KIND_HEADER,
    MONEY,
    RANGES_HEADER,
    ROW_SCHEMA,
    VERSION_HEADER,
    WRITER_HEADER,
    Adjustment,
    Entry,
    Range,
    SourcePartition,
    UnknownEntry,
    adjustment_headers,
    decode_entry,
    encode_rows,
    entry_headers,
    money_text,
    pico_to_money,
)
from schemas.tokens import BUCKET_NAMES

SOURCE = "cluster/llm.usage"
FULL = Range(
    source=SOURCE,
    partition=3,
    start=10,
    through=29,
    events=9,
    unpriced=1,
    duplicates=4,
    conflicts=2,
    refused=3,
    lost=4,
)
BARE = Range(source=SOURCE, partition=0, start=0, through=0)


def rows(*partitions: int) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "partition": partition,
                "minute": datetime(2026, 11, 1, 12, number, tzinfo=UTC),
                **dict.fromkeys(DIMENSIONS),
                "team": f"team {number}",
                "is_retry": number % 2 == 0,
                "calls": -number,
                **dict.fromkeys(BUCKET_NAMES, 2**62),
                "cost": None if number else Decimal("12345678901234567890.123456789012"),
                "provider_cost": Decimal("-0.000000000001"),
            }
            for number, partition in enumerate(partitions)
        ],
        schema=ROW_SCHEMA,
    )


def entry(*partitions: int) -> Entry:
    ranges = tuple(
        Range(source=SOURCE, partition=p, start=0, through=9) for p in sorted(set(partitions))
    )
    return Entry("meter-1", ranges, rows(*partitions))


def test_an_entry_reads_back_as_it_was_written():
    ranges, table = (FULL, BARE), rows(3, 0, 0)
    read = decode_entry(entry_headers("meter-ü", ranges), encode_rows(table))
    assert (read.writer, read.ranges) == ("meter-ü", ranges)
    assert read.rows.equals(table)


def test_an_entry_without_rows_or_ranges_reads_back():
    read = decode_entry(entry_headers("m", ()), encode_rows(ROW_SCHEMA.empty_table()))
    assert read.ranges == ()
    assert read.rows.num_rows == 0
    assert read.rows.schema.equals(ROW_SCHEMA)


def test_other_headers_do_not_disturb():
    headers = [("traceparent", b"\xff"), *entry_headers("m", [FULL])]
    assert decode_entry(headers, encode_rows(rows(3))).ranges == (FULL,)


CORRECTION = Adjustment(
    adjustment_id="reconciliation/1",
    reason="reconciliation",
    source=SOURCE,
    partition=3,
    start=10,
    through=29,
    note="counted twice",
)


def test_an_adjustment_reads_back_as_it_was_written():
    read = decode_entry(adjustment_headers("me", CORRECTION), encode_rows(rows(3, 3)))
    assert (read.writer, read.ranges, read.adjustment) == ("me", (), CORRECTION)
    assert read.rows.equals(rows(3, 3))


def changed(name: str, value: bytes | None) -> list[tuple[str, bytes]]:
    """The headers of a good entry with one of them changed, or left out."""
    kept = [(n, v) for n, v in entry_headers("m", [FULL]) if n != name]
    return kept if value is None else [*kept, (name, value)]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("traceparent", b"00-1")],
        changed(KIND_HEADER, None),
        changed(KIND_HEADER, b"adjustment"),
        changed(WRITER_HEADER, None),
        changed(WRITER_HEADER, b"\xff\xfe"),
        changed(RANGES_HEADER, None),
        changed(RANGES_HEADER, b""),
        changed(RANGES_HEADER, b"{}"),
        changed(RANGES_HEADER, b"\xff"),
        changed(RANGES_HEADER, b'[{"source": "s", "partition": 0, "start": 1}]'),
        changed(RANGES_HEADER, b'[{"source": "s", "partition": 0, "start": 1, "through": "x"}]'),
    ],
)
def test_a_record_that_cannot_be_read_covers_nothing_and_says_why(headers):
    entry = decode_entry(headers, encode_rows(rows(0)))
    assert (entry.writer, entry.ranges, entry.adjustment) == ("", (), None)
    assert entry.rows.num_rows == 0
    assert entry.damage


@pytest.mark.parametrize(
    "headers",
    [changed(VERSION_HEADER, b"2"), changed(VERSION_HEADER, None), changed(KIND_HEADER, b"new")],
)
def test_an_entry_of_a_newer_program_stops_an_older_one(headers):
    with pytest.raises(UnknownEntry, match="older than what wrote it"):
        decode_entry(headers, encode_rows(rows(0)))


GOOD_PAYLOAD = encode_rows(rows(*[0] * 50))


@pytest.mark.parametrize(
    "payload",
    [None, b"", b"garbage", b"\x00" * 64, GOOD_PAYLOAD[:-400], GOOD_PAYLOAD[:100]],
    ids=["none", "empty", "text", "zeros", "cut in the rows", "cut in the schema"],
)
@pytest.mark.parametrize(
    "headers", [entry_headers("m", [FULL]), adjustment_headers("m", CORRECTION)]
)
def test_an_entry_whose_payload_is_no_arrow_stream_covers_nothing(headers, payload):
    entry = decode_entry(headers, payload)
    assert (entry.writer, entry.ranges, entry.adjustment) == ("", (), None)
    assert "rows cannot be read" in entry.damage


def test_an_entry_whose_payload_has_other_columns_covers_nothing():
    table = pa.table({"partition": pa.array([1], pa.int32())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    entry = decode_entry(entry_headers("m", [FULL]), bytes(sink.getvalue()))
    assert (entry.writer, entry.ranges) == ("", ())
    assert "columns" in entry.damage


def test_of_a_wholly_accepted_entry_all_rows_count():
    whole = entry(0, 1, 1)
    assert whole.rows_of(whole.ranges) is whole.rows


def test_of_a_partly_accepted_entry_only_that_partitions_rows_count():
    part = entry(0, 1, 2, 1)
    accepted = [r for r in part.ranges if r.partition == 1]
    assert part.rows_of(accepted)["team"].to_pylist() == ["team 1", "team 3"]
    assert part.rows_of(accepted).schema.equals(ROW_SCHEMA)


def test_of_an_entry_that_was_dropped_no_row_counts():
    assert entry(0, 1).rows_of(()).num_rows == 0


def test_an_accepted_range_may_have_no_rows():
    ranges = (BARE, FULL)
    bare = Entry("m", ranges, rows(3, 3))
    assert bare.rows_of([BARE]).num_rows == 0
    assert bare.rows_of([FULL]).num_rows == 2


@pytest.mark.parametrize("dtype", [pa.decimal128(38, 0), pa.int64()])
def test_pico_dollars_become_money_without_a_change(dtype):
    pico = [0, 1, -1, None, 2**63 - 1, -(2**63), 1_000_000_000_000]
    money = pico_to_money(pa.array(pico, pa.int64()).cast(dtype))
    assert money.type == MONEY
    assert money.to_pylist() == [None if p is None else Decimal(p).scaleb(-12) for p in pico]
    assert money.null_count == 1


def test_sums_of_38_digits_become_money_without_a_change():
    pico = [Decimal("9" * 38), Decimal("-" + "9" * 38)]
    money = pico_to_money(pa.array(pico, pa.decimal128(38, 0)))
    assert [str(amount) for amount in money.to_pylist()] == [
        "99999999999999999999999999.999999999999",
        "-99999999999999999999999999.999999999999",
    ]


@pytest.mark.parametrize(("start", "size"), [(0, 2), (1, 3), (3, 2), (5, 0), (2, 3)])
def test_a_slice_of_pico_dollars_becomes_the_same_slice_of_money(start, size):
    pico = [None, Decimal(-5), Decimal(7), None, Decimal(10**20)]
    array = pa.array(pico, pa.decimal128(38, 0)).slice(start, size)
    expected = [p if p is None else p.scaleb(-12) for p in pico[start : start + size]]
    assert pico_to_money(array).to_pylist() == expected


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0.000012000000", "0.000012"), ("100", "100"), ("-1E+3", "-1000"), ("0E-12", "0")],
)
def test_money_is_written_in_full(amount, text):
    assert money_text(Decimal(amount)) == text


def test_a_range_knows_its_partition():
    assert FULL.key == SourcePartition(SOURCE, 3)
    assert str(FULL.key) == "cluster/llm.usage[3]"
