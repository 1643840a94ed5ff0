"""OTLP's two encodings."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from google.rpc.status_pb2 import Status
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from streams.otel.otlp import (
    ENCODINGS,
    JSON,
    PROTOBUF,
    Unreadable,
    failure,
    read,
    traces_answer,
    written,
)
from streams.otel.spans import map_spans
from tests.support.otlp import span, traces

DOCUMENT = """{"resourceSpans": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "agent"}}]},
  "scopeSpans": [{"scope": {"name": "by hand"}, "spans": [{
    "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174",
    "parentSpanId": "eee19b7ec3c1b173", "name": "chat gpt-4o", "kind": 3,
    "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000",
    "attributes": [
      {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
      {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
      {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 5}}],
    "status": {"code": 2}, "aFieldOfTomorrow": {"x": 1}}]}]}]}"""


def test_json_has_hex_ids_enums_as_numbers_and_long_integers_as_text():
    (usage,) = map_spans(read(ExportTraceServiceRequest, DOCUMENT.encode(), JSON))
    assert usage.fields["event_id"] == "otel:5b8efff798038103d269b633813fc60c:eee19b7ec3c1b174"
    assert usage.fields["status"] == "error"
    assert (usage.fields["input_tokens"], usage.fields["output_tokens"]) == (12, 5)


def test_protobuf_is_read():
    request = traces(span({"gen_ai.operation.name": "chat"}))
    assert read(ExportTraceServiceRequest, request.SerializeToString(), PROTOBUF) == request


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"\xff", PROTOBUF),
        (b"\xff", JSON),
        (b"", JSON),
        (b"null", JSON),
        (b"[]", JSON),
        (b"[" * 100_000, JSON),
        (b'{"resourceSpans": {}}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}', JSON),
    ],
)
def test_what_is_no_request_is_said_in_one_line(body, encoding):
    with pytest.raises(Unreadable) as caught:
        read(ExportTraceServiceRequest, body, encoding)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("the body is no ExportTraceServiceRequest in ")


@settings(max_examples=100)
@given(st.binary(max_size=60), st.sampled_from(ENCODINGS))
def test_any_body_is_read_or_unreadable(noise, encoding):
    whole = DOCUMENT.encode() if encoding == JSON else traces(span({})).SerializeToString()
    for body in (noise, whole[: len(whole) // 2] + noise, noise + whole):
        with suppress(Unreadable):
            map_spans(read(ExportTraceServiceRequest, body, encoding))


def test_an_answer_has_the_encoding_of_its_request():
    assert json.loads(written(traces_answer(0, ""), JSON)) == {}
    partial = {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "why"}}
    assert json.loads(written(traces_answer(2, "why"), JSON)) == partial
    read_back = ExportTraceServiceResponse.FromString(written(traces_answer(2, "why"), PROTOBUF))
    assert read_back.partial_success.rejected_spans == 2


def test_a_failure_is_a_google_rpc_status():
    assert Status.FromString(failure(3, "no", PROTOBUF)) == Status(code=3, message="no")
    assert json.loads(failure(3, "no", JSON)) == {"code": 3, "message": "no"}
