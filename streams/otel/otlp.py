"""OTLP over HTTP in its two encodings: requests read, answers written.

OTLP's JSON is protobuf's with two deviations: trace and span ids are hex, not base64, and enums are
numbers (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from schemas.errors import SpendstreamError

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
ENCODINGS = (PROTOBUF, JSON)

Request = TypeVar("Request", ExportTraceServiceRequest, ExportMetricsServiceRequest)

_HEX_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


class Unreadable(SpendstreamError):
    """The body is no such request. The message is one line."""


def read(kind: type[Request], body: bytes, encoding: str) -> Request:
    """The request in the body. Raises Unreadable."""
    request = kind()
    try:
        if encoding == JSON:
            document = json.loads(body)
            if not isinstance(document, dict):
                raise ValueError("it is no JSON object")  # noqa: TRY301 - as the parser does
            json_format.ParseDict(_with_bytes(document), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (json_format.ParseError, DecodeError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        raise Unreadable(f"the body is no {kind.DESCRIPTOR.name} in {encoding}: {why}") from None
    return request


def _with_bytes(value: Any) -> Any:
    """The same document with ids as protobuf's JSON has bytes."""
    if isinstance(value, list):
        return [_with_bytes(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _base64(key, item) if key in _HEX_IDS and isinstance(item, str) else _with_bytes(item)
        for key, item in value.items()
    }


def _base64(key: str, digits: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(digits)).decode()
    except ValueError:
        raise ValueError(f"{key} {digits[:40]!r} is not hex") from None


def traces_answer(rejected: int, message: str) -> ExportTraceServiceResponse:
    """The answer to a request of which ``rejected`` spans were refused, and why."""
    answer = ExportTraceServiceResponse()
    if rejected or message:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = message
    return answer


def metrics_answer(rejected: int, message: str) -> ExportMetricsServiceResponse:
    """The answer to a request of which ``rejected`` data points were refused, and why."""
    answer = ExportMetricsServiceResponse()
    if rejected or message:
        answer.partial_success.rejected_data_points = rejected
        answer.partial_success.error_message = message
    return answer


def failure(code: int, message: str, encoding: str) -> bytes:
    """A `google.rpc.Status`: what a request that was not done is answered with.

    ``code``: of google.rpc.Code. Its bytes are those of a message with an integer and a text in
    fields 1 and 2, which there is one of: one message is no reason for a dependency.
    """
    if encoding == JSON:
        return json.dumps({"code": code, "message": message}).encode()
    same = ExportTracePartialSuccess(rejected_spans=code, error_message=message)
    return same.SerializeToString()


def written(message: Message, encoding: str) -> bytes:
    """The message in the encoding of the request."""
    if encoding == JSON:
        return json.dumps(json_format.MessageToDict(message)).encode()
    return message.SerializeToString()
