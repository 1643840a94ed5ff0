from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spendstream.usage import EventStreamDecoder, SseDecoder, StreamReader
from usage_bodies import STREAMED, Case

Event = tuple[str | None, dict[str, Any]]
OF_BEDROCK = {
    n: c for n, c in STREAMED.items() if c["events"][0].get("event") in {"messageStart", "chunk"}
}
OVER_HTTP = {name: case for name, case in STREAMED.items() if name not in OF_BEDROCK}


def events_of(case: Case) -> list[Event]:
    return [(event.get("event"), event["data"]) for event in case["events"]]


def sse(events: Iterable[Event], end: str = "\n") -> bytes:
    lines = [": comment", "retry: 3"]
    for name, data in events:
        lines += [f"event: {name}"] if name else []
        lines += [f"data: {json.dumps(data, ensure_ascii=False)}", ""]
    return end.join([*lines, "data: [DONE]", "", "data: {}", "", ""]).encode()


def framed(name: str, data: object, kind: str = ":event-type") -> bytes:
    texts = {kind: name, ":content-type": "application/json", ":message-type": "event"}
    headers = b"\x02:n\x04\x00\x00\x00\x07"  # a number, which has no use here
    for key, value in texts.items():
        headers += bytes([len(key)]) + key.encode() + b"\x07"
        headers += struct.pack(">H", len(value)) + value.encode()
    payload = json.dumps(data).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def decoded(make: Callable[[], SseDecoder | EventStreamDecoder], parts: Iterable[bytes]):
    decoder = make()
    return [event for part in parts for event in decoder.feed(part)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("case", OVER_HTTP.values(), ids=OVER_HTTP)
def test_a_stream_reads_the_same_however_its_bytes_are_cut(case: Case, end: str):
    data = sse(events_of(case), end)
    whole = decoded(SseDecoder, [data])
    assert whole == events_of(case)
    assert decoded(SseDecoder, (data[n : n + 1] for n in range(len(data)))) == whole
    reader = StreamReader(case["provider"], case.get("request"))
    for name, chunk in whole:
        reader.feed(chunk, event=name)
    assert reader.usage() == case["expected"]


FIRST = next(iter(OVER_HTTP.values()))


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 1500), max_size=8), end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_cut_of_the_bytes_gives_the_same_events(cuts, end):
    data = sse(events_of(FIRST), end)
    edges = [0, *sorted(cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    assert decoded(SseDecoder, parts) == events_of(FIRST)


@settings(max_examples=100, deadline=None)
@given(
    data=st.lists(
        st.sampled_from(
            [b"data:", b"event: x", b"{}", b'{"a":1}', b"[1]", b"\n", b"\r", b"\xff", b" "]
        )
    ).map(b"".join),
    cut=st.integers(0, 40),
)
def test_no_bytes_make_the_decoder_raise_or_depend_on_the_cut(data, cut):
    assert decoded(SseDecoder, [data]) == decoded(SseDecoder, [data[:cut], data[cut:]])


def test_an_event_may_have_several_data_lines_and_a_byte_order_mark():
    data = b'\xef\xbb\xbfevent:x\ndata: {"a":\ndata:1}\n\n'
    assert decoded(SseDecoder, [data]) == [("x", {"a": 1})]


@pytest.mark.parametrize("data", [b"data: [1]\n\n", b"data: {\n\n", b"data\n\n", b"event: x\n\n"])
def test_what_is_no_object_is_passed_over(data: bytes):
    assert decoded(SseDecoder, [data, b'data: {"a": 1}\n\n']) == [(None, {"a": 1})]


def test_data_nested_too_deep_is_passed_over():
    deep = b'data: {"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n\n"
    assert decoded(SseDecoder, [deep, b'data: {"a": 1}\n\n']) == [(None, {"a": 1})]


def test_the_end_is_seen_and_what_follows_is_not_read():
    decoder = SseDecoder()
    assert not decoder.ended
    assert decoder.feed(b'data: [DONE]\n\ndata: {"a": 1}\n\n') == []
    assert decoder.ended
    assert decoder.feed(b'data: {"a": 1}\n\n') == []


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("spendstream.usage._sse.MAX_EVENT_BYTES", 1000)
    decoder = SseDecoder()
    for _ in range(11):
        decoder.feed(b"x" * 100)
    assert decoder.ended


@pytest.mark.parametrize("case", OF_BEDROCK.values(), ids=OF_BEDROCK)
def test_bedrocks_frames_read_the_same_however_their_bytes_are_cut(case: Case):
    data = b"".join(framed(str(name), chunk) for name, chunk in events_of(case))
    whole = decoded(EventStreamDecoder, [data])
    assert whole == events_of(case)
    assert decoded(EventStreamDecoder, (data[n : n + 1] for n in range(len(data)))) == whole


def test_an_exception_in_a_frame_has_its_name():
    data = framed("throttlingException", {"message": "Slow down."}, ":exception-type")
    assert decoded(EventStreamDecoder, [data]) == [
        ("throttlingException", {"message": "Slow down."})
    ]


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 200), byte=st.integers(0, 255))
def test_a_damaged_frame_ends_the_stream_without_an_invented_event(at, byte):
    data = bytearray(framed("metadata", {"usage": {"inputTokens": 1}}))
    at %= len(data)
    changed = data[at] != byte
    data[at] = byte
    decoder = EventStreamDecoder()
    found = decoder.feed(bytes(data))
    assert (found == []) == changed


@settings(max_examples=50, deadline=None)
@given(headers=st.binary(max_size=60))
def test_headers_that_make_no_sense_do_not_raise(headers):
    prelude = struct.pack(">II", 16 + len(headers) + 2, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + b"{}"
    data = message + struct.pack(">I", zlib.crc32(message))
    assert [payload for _, payload in decoded(EventStreamDecoder, [data])] == [{}]
