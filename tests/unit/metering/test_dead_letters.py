from __future__ import annotations

from schemas.errors import Refusal
from schemas.topics import (
    DETAIL_HEADER,
    OFFSET_HEADER,
    PARTITION_HEADER,
    REASON_HEADER,
    SOURCE_HEADER,
)
from streams.metering.batch import DeadLetter
from streams.metering.dead_letters import dead_letter
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


def test_a_record_without_key_and_value_stays_without_them():
    sent = dead_letter(DeadLetter(Record(0, 0, None), REFUSAL), SOURCE)
    assert sent["key"] is None
    assert sent["value"] is None
