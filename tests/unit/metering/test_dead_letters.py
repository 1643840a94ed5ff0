from __future__ import annotations

import hashlib

from schemas.errors import Refusal
from schemas.topics import (
    CUT_HEADER,
    DETAIL_HEADER,
    OFFSET_HEADER,
    PARTITION_HEADER,
    REASON_HEADER,
    SOURCE_HEADER,
)
from streams.metering.batch import DeadLetter
from streams.metering.dead_letters import cut_dead_letter, dead_letter
from tests.support.records import Record

SOURCE = "cluster/llm.usage"
REFUSAL = Refusal("unknown_framing", "the value starts with 07 – no framing")


def test_a_dead_letter_is_the_record_as_it_came_and_why_and_where():
    record = Record(3, 17, b"\x07", key=b"search", headers=(("traceparent", b"00-1"),))
    sent = dead_letter(DeadLetter(record, REFUSAL), SOURCE)
    assert (sent["key"], sent["value"]) == (b"search", b"\x07")
    assert sent["timestamp_ms"] == record.timestamp
    assert sent["headers"] == [
        ("traceparent", b"00-1"),
        (SOURCE_HEADER, SOURCE.encode()),
        (PARTITION_HEADER, b"3"),
        (OFFSET_HEADER, b"17"),
        (REASON_HEADER, b"unknown_framing"),
        (DETAIL_HEADER, REFUSAL.detail.encode()),
    ]


def test_a_record_without_key_and_value_gets_an_empty_value_as_a_producer_needs_one():
    sent = dead_letter(DeadLetter(Record(0, 0, None), REFUSAL), SOURCE)
    assert sent["key"] is None
    assert sent["value"] == b""


def test_a_record_that_is_too_large_is_cut_and_its_size_and_hash_are_told():
    value = b"x" * 3_000_000
    sent = cut_dead_letter(DeadLetter(Record(3, 17, value), REFUSAL), SOURCE)
    headers = dict(sent["headers"])
    assert sent["value"] == value[: len(sent["value"])]
    assert 1000 < len(sent["value"]) < 1_000_000
    assert headers[OFFSET_HEADER] == b"17"
    digest = hashlib.sha256(value).hexdigest()
    assert headers[CUT_HEADER] == f"3000000 bytes, sha256 {digest}".encode()
