"""GenAI spans into the fields of usage events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.errors import InvalidEvent, Refusal
from schemas.usage import ATTRIBUTION
from streams.otel import names
from streams.otel.attributes import Attributes
from streams.otel.calls import Call, Role, innermost, role
from streams.otel.outcome import outcome
from streams.otel.tokens import CachedAre, Reported, buckets

Fields = dict[str, object]
"""Fields of a usage event, unchecked; `team` may be missing, and then is for the token to give."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVENT_ID = "otel:{trace}:{span}"
TAGS = ("gen_ai.operation.name", "gen_ai.agent.name")
"""Kept as tags: low in number, and nobody's words."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Something that is usage: the fields of its event, or why it cannot be read."""

    what: str
    """The span or metric by name, for a person."""
    fields: Fields | Refusal


def map_spans(request: ExportTraceServiceRequest) -> list[Usage]:
    """The billed calls in the request. Spans that are no usage are in none of them."""
    spans: list[Span] = []
    calls: list[Call] = []
    found: list[Usage] = []
    for resource_spans in request.resource_spans:
        resource = Attributes(resource_spans.resource.attributes)
        for span in (span for scope in resource_spans.scope_spans for span in scope.spans):
            spans.append(span)
            try:
                call = as_call(span, resource)
            except InvalidEvent as error:
                found.append(Usage(_what(span), error.refusal))
            else:
                calls += [] if call is None else [call]
    found += [Usage(_what(call.span), _fields(call)) for call in innermost(calls, spans)]
    return found


def _what(span: Span) -> str:
    return f"span '{span.name[:80]}'"


def _fields(call: Call) -> Fields | Refusal:
    try:
        return event_fields(call)
    except InvalidEvent as error:
        return error.refusal


def as_call(span: Span, resource: Attributes) -> Call | None:
    """The span as a billed call; None where it is none.

    Raises InvalidEvent where it is one that cannot be read.
    """
    attributes = Attributes(span.attributes)
    what = role(span, attributes)
    if what is Role.NONE:
        return None
    models = (attributes.text(*names.RESPONSE_MODEL), attributes.text(*names.REQUEST_MODEL))
    return Call(
        span=span,
        attributes=attributes,
        resource=resource,
        role=what,
        models=frozenset(model for model in models if model),
        response_id=attributes.text(*names.RESPONSE_ID),
        reported=reported(attributes),
    )


def reported(attributes: Attributes) -> Reported:
    """The token counts as they stand there. Raises InvalidEvent for one that cannot be read."""
    return Reported(
        input=attributes.count(*names.INPUT),
        output=attributes.count(*names.OUTPUT),
        total=attributes.count(*names.TOTAL),
        cache_read=attributes.count(*names.CACHE_READ),
        cache_write=attributes.count(*names.CACHE_WRITE),
        uncached=attributes.count(*names.UNCACHED),
        reasoning=attributes.count(*names.REASONING),
        input_audio=attributes.count(*names.INPUT_AUDIO),
        input_image=attributes.count(*names.INPUT_IMAGE),
        output_audio=attributes.count(*names.OUTPUT_AUDIO),
    )


def event_fields(call: Call) -> Fields:
    """The fields of the call's usage event; what is not known is left out.

    Raises InvalidEvent where the span has no ids.
    """
    span, attributes, resource = call.span, call.attributes, call.resource
    if len(span.trace_id) != 16 or len(span.span_id) != 8:
        raise InvalidEvent("missing_field", "the span has no trace_id of 16 and span_id of 8 bytes")
    status, error_code = outcome(span, attributes)
    tokens = buckets(call.reported, cached_are(attributes, resource))
    requested = attributes.text(*names.REQUEST_MODEL)
    fields: Mapping[str, object] = {
        "event_id": EVENT_ID.format(trace=span.trace_id.hex(), span=span.span_id.hex()),
        "occurred_at": instant(span.end_time_unix_nano),
        "provider": provider(attributes),
        "model": attributes.text(*names.RESPONSE_MODEL) or requested,
        "requested_model": requested,
        "request_id": call.response_id,
        "region": attributes.text("cloud.region"),
        "service_tier": service_tier(attributes),
        "status": status,
        "error_code": error_code,
        "usage_source": "reported" if tokens else "missing",
        "latency_ms": _latency(span),
        "tags": {name: text for name in TAGS if (text := attributes.text(name))} or None,
        **attribution(attributes, resource),
        **tokens,
    }
    return {name: value for name, value in fields.items() if value is not None}


def attribution(attributes: Attributes, resource: Attributes) -> dict[str, str | None]:
    """Who the call is for: what the span says, before what its resource says.

    ``spendstream.<field>``, then the SDK's metadata of that name, then the conventions' attribute.
    """
    found: dict[str, str | None] = {}
    for field in ATTRIBUTION:
        own = f"spendstream.{field}"
        metadata = (f"{prefix}.{field}" for prefix in names.METADATA)
        value = attributes.text(own, *metadata, *names.FALLBACKS.get(field, ())) or resource.text(
            own, *names.RESOURCE_FALLBACKS.get(field, ())
        )
        is_default = field == "application" and (value or "").startswith("unknown_service")
        found[field] = None if is_default else value
    return found


def provider(attributes: Attributes) -> str | None:
    """Who bills, by the well-known value of `gen_ai.provider.name`; None where nothing says it."""
    for name in names.PROVIDER:
        said = (attributes.text(name) or "").strip().lower()
        for end in names.INTERFACES:
            said = said.removesuffix(end)
        if said and said not in names.FRAMEWORKS:
            return names.PROVIDERS.get(said, said)
    return None


def service_tier(attributes: Attributes) -> str | None:
    """The tier that was billed, or else asked for; None where it is none that has a price."""
    for name in names.SERVICE_TIER:
        if tier := names.SERVICE_TIERS.get((attributes.text(name) or "").lower()):
            return tier
    return None


def cached_are(attributes: Attributes, resource: Attributes) -> CachedAre | None:
    """What the service says of its instrumentation. Raises InvalidEvent for another word."""
    said = attributes.text(names.CACHED_ARE) or resource.text(names.CACHED_ARE)
    if said not in (None, "included", "excluded"):
        raise InvalidEvent(
            "invalid_field",
            f"{names.CACHED_ARE} is '{said[:80]}'; say included or excluded",
        )
    return cast("CachedAre | None", said)


def instant(nanoseconds: int) -> datetime | None:
    """Nanoseconds since 1970, UTC; None for 0, which is OTLP's way to say nothing."""
    return EPOCH + timedelta(microseconds=nanoseconds // 1000) if nanoseconds else None


def _latency(span: Span) -> int | None:
    """Milliseconds; None where the start is not known or after the end (a clock was set)."""
    if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano:
        return None
    return (span.end_time_unix_nano - span.start_time_unix_nano) // 1_000_000
