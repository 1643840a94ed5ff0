"""Histograms of token usage (`gen_ai.client.token.usage`) into the fields of usage events.

A histogram adds up calls: nobody can say any more which of its input tokens a cache served, or how
often a model was called. So its events are estimates, one per data point, and traces are better.
Only delta temporality is counted: a cumulative point says what came before it, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
)

from schemas.errors import InvalidEvent, Refusal
from streams.otel import names
from streams.otel.attributes import Attributes
from streams.otel.calls import AGGREGATES, OPERATION
from streams.otel.spans import Fields, Usage, attribution, instant, provider

METRIC = "gen_ai.client.token.usage"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - a kind of token, no secret
BUCKETS = {
    "input": "input_tokens",
    "prompt": "input_tokens",
    "output": "output_tokens",
    "completion": "output_tokens",
}
SET_DELTA = (
    f"{METRIC} is cumulative, which cannot be counted; "
    "set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta"
)

Point = HistogramDataPoint | ExponentialHistogramDataPoint


def map_metrics(request: ExportMetricsServiceRequest) -> list[Usage]:
    """The data points of token usage in the request. Other metrics are in none of them."""
    found: list[Usage] = []
    for resource_metrics in request.resource_metrics:
        resource = Attributes(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                if metric.name == METRIC:
                    found += _usages(metric, resource, scope_metrics.scope)
    return found


def _usages(metric: Metric, resource: Attributes, scope: InstrumentationScope) -> Iterator[Usage]:
    kind = metric.WhichOneof("data")
    data = metric.exponential_histogram if kind == "exponential_histogram" else metric.histogram
    delta = data.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    for point in data.data_points:
        attributes = Attributes(point.attributes)
        if not point.sum or attributes.text(OPERATION) in AGGREGATES:
            continue
        try:
            fields: Fields | Refusal = (
                point_fields(point, attributes, resource, scope)
                if delta
                else Refusal("invalid_field", SET_DELTA)
            )
        except InvalidEvent as error:
            fields = error.refusal
        yield Usage(f"metric {METRIC}", fields)


def point_fields(
    point: Point, attributes: Attributes, resource: Attributes, scope: InstrumentationScope
) -> Fields:
    """The fields of the event of a delta point; what is not known is left out.

    Raises InvalidEvent where it does not say which tokens it counts, or not a whole number.
    """
    said = attributes.text(TOKEN_TYPE)
    bucket = BUCKETS.get(said or "")
    if bucket is None:
        code = "missing_field" if said is None else "invalid_field"
        raise InvalidEvent(code, f"{TOKEN_TYPE} is {(said or '')[:80]!r}; input or output would do")
    if not point.sum.is_integer() or point.sum < 0 or not point.HasField("sum"):
        raise InvalidEvent("invalid_field", f"the sum of {METRIC} is {point.sum}, no whole number")
    requested = attributes.text(*names.REQUEST_MODEL)
    fields: Fields = {
        "event_id": _event_id(point, attributes, resource, scope),
        "occurred_at": instant(point.time_unix_nano),
        "provider": provider(attributes),
        "model": attributes.text(*names.RESPONSE_MODEL) or requested,
        "requested_model": requested,
        "usage_source": "estimated",
        "tags": {"otel.metric": METRIC, "otel.calls": str(point.count)},
        **attribution(attributes, resource),
        bucket: int(point.sum),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _event_id(
    point: Point, attributes: Attributes, resource: Attributes, scope: InstrumentationScope
) -> str:
    """The same for the same stream of points at the same time: OTLP gives a point no id."""
    identity = [
        *(list(resource), scope.name, scope.version, METRIC, list(attributes)),
        *(point.start_time_unix_nano, point.time_unix_nano),
    ]
    return "otel-metric:" + hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
