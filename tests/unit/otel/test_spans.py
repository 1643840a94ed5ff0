"""The fields of a call's event besides its tokens."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.errors import InvalidEvent, Refusal
from schemas.tokens import BUCKET_NAMES
from schemas.usage import UsageEvent, checked
from streams.otel.spans import map_spans
from tests.support.otlp import END, SERVICE, pairs, span, traces

CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
}


def mapped(made: Span, resource: dict[str, Any] = SERVICE) -> Any:
    (usage,) = map_spans(traces(made, resource=resource))
    return usage.fields


def event(made: Span, resource: dict[str, Any] = SERVICE) -> UsageEvent:
    return checked(mapped(made, resource))


def test_an_event_has_the_id_of_its_span_and_the_time_of_its_end():
    found = event(span(CHAT, number=255))
    assert found.event_id == "otel:000102030405060708090a0b0c0d0e0f:00000000000000ff"
    assert found.occurred_at.isoformat() == "2026-01-01T00:00:00+00:00"
    assert found.latency_ms == 500
    assert found.tags == {"gen_ai.operation.name": "chat"}


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"error.type": "429"}, "rate_limited", "429"),
        ({"error.type": "openai.RateLimitError"}, "rate_limited", "openai.RateLimitError"),
        ({"error.type": "ThrottlingException"}, "rate_limited", "ThrottlingException"),
        ({"error.type": "_OTHER", "http.response.status_code": 429}, "rate_limited", "_OTHER"),
        ({"error.type": "timeout"}, "timeout", "timeout"),
        ({"error.type": "openai.APITimeoutError"}, "timeout", "openai.APITimeoutError"),
        ({"error.type": "DEADLINE_EXCEEDED"}, "timeout", "DEADLINE_EXCEEDED"),
        ({"error.type": "asyncio.CancelledError"}, "cancelled", "asyncio.CancelledError"),
        ({"error.type": "500"}, "error", "500"),
        ({"http.response.status_code": 503}, "error", "503"),
        ({}, "error", None),
    ],
)
def test_a_failed_call_says_how_it_failed(more, status, code):
    unknown = {name: v for name, v in CHAT.items() if "usage" not in name}
    found = event(span(unknown | more, failed=True))
    assert (found.status, found.error_code) == (status, code)
    assert found.usage_source == "missing"
    assert all(getattr(found, name) is None for name in BUCKET_NAMES)


def test_an_exception_names_the_error_and_its_words_are_not_kept():
    made = span(CHAT, failed=True)
    words = {"exception.type": "BadRequestError", "exception.message": "a secret"}
    made.events.add(name="exception", attributes=pairs(words))
    made.status.message = "a secret"
    found = event(made)
    assert (found.status, found.error_code) == ("error", "BadRequestError")
    assert "secret" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("attributes", "resource", "team"),
    [
        ({"spendstream.team": "a", "team": "b"}, {"spendstream.team": "c"}, "a"),
        ({"traceloop.association.properties.team": "a"}, {"spendstream.team": "c"}, "a"),
        ({"ai.telemetry.metadata.team": "a"}, {"team": "d"}, "a"),
        ({"team": "b"}, {"spendstream.team": "c"}, "b"),
        ({}, {"spendstream.team": "c", "team": "d"}, "c"),
        ({"spendstream.team": "  "}, {"team": "d"}, "d"),
    ],
)
def test_the_team_is_what_is_said_nearest_to_the_call(attributes, resource, team):
    assert event(span(CHAT | attributes), resource).team == team


def test_without_a_team_the_field_is_left_to_the_token():
    fields = mapped(span(CHAT), {"service.namespace": "shop"})
    assert "team" not in fields
    with pytest.raises(InvalidEvent, match="team is required"):
        checked(fields)


def test_attribution_comes_from_span_and_resource():
    resource = {
        "service.name": "agent",
        "deployment.environment": "prod",
        "cloud.region": "us-east-1",
        "spendstream.department": "rnd",
    }
    more = {"spendstream.team": "t", "enduser.id": 7, "spendstream.project": "p"}
    found = event(span(CHAT | more), resource)
    assert (found.application, found.environment, found.department) == ("agent", "prod", "rnd")
    assert (found.user, found.project) == ("7", "p")
    assert found.region is None, "the region of a resource is the caller's"


def test_the_name_that_an_sdk_makes_up_for_a_service_is_no_application():
    resource = {"service.name": "unknown_service:python", "team": "t"}
    assert event(span(CHAT), resource).application is None


@pytest.mark.parametrize(
    ("said", "provider"),
    [
        ({"gen_ai.provider.name": "azure.ai.openai"}, "azure.ai.openai"),
        ({"gen_ai.system": "xai"}, "x_ai"),
        ({"gen_ai.system": "Google"}, "gcp.gemini"),
        ({"gen_ai.system": "google.vertex.chat"}, "gcp.vertex_ai"),
        ({"gen_ai.system": "langchain", "llm.provider": "aws"}, "aws.bedrock"),
        ({"gen_ai.system": "my-own"}, "my-own"),
        ({"gen_ai.system": "langchain"}, None),
        ({}, None),
    ],
)
def test_a_provider_has_its_name_by_the_conventions(said, provider):
    without = {name: value for name, value in CHAT.items() if name != "gen_ai.provider.name"}
    assert mapped(span(without | said)).get("provider") == provider


@pytest.mark.parametrize(
    ("more", "tier"),
    [
        ({"openai.response.service_tier": "flex"}, "flex"),
        ({"gen_ai.openai.response.service_tier": "priority"}, "priority"),
        ({"openai.request.service_tier": "batch"}, "batch"),
        (
            {"openai.request.service_tier": "priority", "openai.response.service_tier": "default"},
            "standard",
        ),
        ({"openai.request.service_tier": "auto"}, None),
        ({"openai.response.service_tier": "scale"}, None),
    ],
)
def test_a_service_tier_is_the_one_that_was_billed(more, tier):
    assert event(span(CHAT | more)).service_tier == tier


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            {"gen_ai.usage.input_tokens": "many"},
            "invalid_field: gen_ai.usage.input_tokens is 'many'",
        ),
        ({"gen_ai.usage.input_tokens": 1.5}, "invalid_field: gen_ai.usage.input_tokens is '1.5'"),
        ({"gen_ai.usage.input_tokens": float("nan")}, "invalid_field"),
        ({"gen_ai.usage.input_tokens": True}, "invalid_field"),
        ({"gen_ai.usage.output_tokens": -1}, "negative_tokens: gen_ai.usage.output_tokens is -1"),
        ({"spendstream.cached_tokens": "yes"}, "invalid_field: spendstream.cached_tokens is 'yes'"),
    ],
)
def test_a_count_that_cannot_be_read_is_refused_not_taken_for_unknown(more, reason):
    refusal = mapped(span(CHAT | more))
    assert isinstance(refusal, Refusal)
    assert str(refusal).startswith(reason)


def test_a_span_without_ids_is_refused():
    made = span(CHAT)
    made.span_id = b""
    assert mapped(made) == Refusal(
        "missing_field", "the span has no trace_id of 16 and span_id of 8 bytes"
    )


def test_a_span_that_never_ended_has_no_time():
    made = span(CHAT)
    made.end_time_unix_nano = 0
    assert "occurred_at" not in mapped(made)
    made = span(CHAT)
    made.start_time_unix_nano = END + 1
    assert "latency_ms" not in mapped(made)


VALUES = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.lists(st.text(max_size=3), max_size=2),
    st.sampled_from(["chat", "LLM", "ai.generateText.doGenerate", "1" * 5000, "²", "12"]),
)
NAMES = st.sampled_from(
    [
        *CHAT,
        *("gen_ai.system", "llm.request.type", "openinference.span.kind", "ai.operationId"),
        *("gen_ai.usage.total_tokens", "gen_ai.usage.cache_read.input_tokens", "error.type"),
        *("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.audio.input_tokens"),
        *("http.response.status_code", "user.id", "spendstream.team", "gen_ai.response.id"),
    ]
)


@settings(max_examples=150)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.integers(0, 2**64 - 1), st.integers(0, 3))
def test_whatever_is_changed_there_is_an_event_or_a_reason(changed, end, code):
    made = span(CHAT | changed)
    made.end_time_unix_nano = end
    made.status.code = code
    for usage in map_spans(traces(made)):
        if isinstance(usage.fields, Refusal):
            assert usage.fields.detail
            continue
        with suppress(InvalidEvent):
            found = checked(usage.fields)
            total = sum(getattr(found, name) or 0 for name in BUCKET_NAMES)
            assert total <= sum(int(v) for name, v in (CHAT | changed).items() if "usage" in name)
