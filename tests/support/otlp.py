"""OTLP requests, built by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACE = bytes(range(16))
END = 1_767_225_600_000_000_000
"""2026-01-01, nanoseconds since 1970."""
SERVICE = {"service.name": "agent", "spendstream.team": "search"}


def pairs(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value={"values": [any_value(item) for item in value]})
    return AnyValue(string_value=value)


def span(
    attributes: Mapping[str, Any],
    name: str = "chat",
    number: int = 1,
    parent: int | None = None,
    failed: bool = False,
) -> Span:
    """A span of half a second that ends at END; ``number`` and ``parent``: span ids."""
    return Span(
        trace_id=TRACE,
        span_id=number.to_bytes(8, "big"),
        parent_span_id=b"" if parent is None else parent.to_bytes(8, "big"),
        name=name,
        start_time_unix_nano=END - 500_000_000,
        end_time_unix_nano=END,
        attributes=pairs(attributes),
        status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
    )


def traces(*spans: Span, resource: Mapping[str, Any] = SERVICE) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource))
    group.scope_spans.add().spans.extend(spans)
    return request


def token_usage(
    attributes: Mapping[str, Any],
    total: float,
    *,
    cumulative: bool = False,
    name: str = "gen_ai.client.token.usage",
    resource: Mapping[str, Any] = SERVICE,
) -> ExportMetricsServiceRequest:
    """One data point of a histogram of three calls."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(pairs(resource))
    histogram = group.scope_metrics.add().metrics.add(name=name).histogram
    kinds = AggregationTemporality
    histogram.aggregation_temporality = (
        kinds.AGGREGATION_TEMPORALITY_CUMULATIVE
        if cumulative
        else kinds.AGGREGATION_TEMPORALITY_DELTA
    )
    histogram.data_points.add(
        start_time_unix_nano=END - 60_000_000_000,
        time_unix_nano=END,
        count=3,
        sum=total,
        attributes=pairs(attributes),
    )
    return request
