"""What each instrumentation sends, as the buckets and fields of one event."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.tokens import BUCKET_NAMES
from schemas.usage import UsageEvent, checked
from streams.otel.spans import map_spans
from tests.support.otlp import span, traces

CURRENT_OPENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.conversation.id": "conv_5",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.cache_read.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
    "gen_ai.usage.reasoning.output_tokens": 200,
    "openai.response.service_tier": "default",
    "cloud.region": "eu-west-1",
    "user.id": "ann",
}
CURRENT_ANTHROPIC = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 2350,
    "gen_ai.usage.cache_read.input_tokens": 2000,
    "gen_ai.usage.cache_creation.input_tokens": 300,
    "gen_ai.usage.output_tokens": 120,
}
OLD_CONVENTIONS = {
    "gen_ai.system": "az.ai.openai",
    "gen_ai.request.model": "gpt-4",
    "gen_ai.usage.prompt_tokens": 90,
    "gen_ai.usage.completion_tokens": 10,
}
OPENLLMETRY = {
    "llm.request.type": "chat",
    "gen_ai.system": "Anthropic",
    "gen_ai.request.model": "claude-3-opus-20240229",
    "gen_ai.response.model": "claude-3-opus-20240229",
    "gen_ai.usage.prompt_tokens": 1163,
    "gen_ai.usage.completion_tokens": 187,
    "llm.usage.total_tokens": 1350,
    "gen_ai.usage.cache_read_input_tokens": 1159,
    "gen_ai.usage.cache_creation_input_tokens": 0,
    "traceloop.association.properties.customer": "acme",
    "gen_ai.prompt.0.content": "a secret",
}
OPENLLMETRY_BEDROCK = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 40,
    "gen_ai.usage.total_tokens": 52,
    "gen_ai.usage.cache_read.input_tokens": 1000,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.provider": "azure",
    "llm.model_name": "gpt-4o-audio-preview",
    "llm.token_count.prompt": 500,
    "llm.token_count.prompt_details.cache_read": 100,
    "llm.token_count.prompt_details.audio": 40,
    "llm.token_count.completion": 80,
    "llm.token_count.completion_details.reasoning": 16,
    "llm.token_count.completion_details.audio": 4,
    "llm.token_count.total": 580,
    "session.id": "s-9",
    "input.value": "a secret",
}
OPENINFERENCE_EMBEDDING = {
    "openinference.span.kind": "EMBEDDING",
    "llm.provider": "openai",
    "embedding.model_name": "text-embedding-3-small",
    "llm.token_count.prompt": 8,
    "llm.token_count.total": 8,
}
VERCEL_4 = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.id": "gpt-4o",
    "ai.model.provider": "openai.chat",
    "ai.usage.promptTokens": 21,
    "ai.usage.completionTokens": 34,
    "gen_ai.system": "openai.chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 21,
    "gen_ai.usage.output_tokens": 34,
    "ai.telemetry.metadata.team": "ads",
    "ai.prompt.messages": "a secret",
}
VERCEL_6 = {
    "ai.operationId": "ai.streamText.doStream",
    "gen_ai.system": "anthropic.messages",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 28466,
    "gen_ai.usage.output_tokens": 120,
    "ai.usage.totalTokens": 28586,
    "ai.usage.inputTokenDetails.noCacheTokens": 3,
    "ai.usage.inputTokenDetails.cacheReadTokens": 22041,
    "ai.usage.inputTokenDetails.cacheWriteTokens": 6422,
    "ai.usage.outputTokenDetails.reasoningTokens": 64,
}
VERCEL_EMBEDDING = {
    "ai.operationId": "ai.embed.doEmbed",
    "ai.model.id": "text-embedding-004",
    "ai.model.provider": "google.generative-ai",
    "ai.usage.tokens": 6,
}
GEMINI = {
    "gen_ai.operation.name": "generate_content",
    "gen_ai.system": "gcp.vertex_ai",
    "gen_ai.request.model": "gemini-2.5-pro",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.reasoning_tokens": 70,
}
LANGSMITH = {
    "langsmith.span.kind": "llm",
    "gen_ai.system": "mistralai",
    "gen_ai.request.model": "mistral-large-latest",
    "gen_ai.usage.input_tokens": "258",
    "gen_ai.usage.output_tokens": 83.0,
}

CASES: dict[str, tuple[dict[str, Any], dict[str, int], dict[str, Any]]] = {
    "current, OpenAI": (
        CURRENT_OPENAI,
        {"input": 200, "cache_read": 1000, "output": 100, "reasoning": 200},
        {
            "provider": "openai",
            "model": "gpt-4o-2024-08-06",
            "requested_model": "gpt-4o",
            "request_id": "chatcmpl-1",
            "workflow": "conv_5",
            "service_tier": "standard",
            "region": "eu-west-1",
            "user": "ann",
        },
    ),
    "current, Anthropic": (
        CURRENT_ANTHROPIC,
        {"input": 50, "cache_read": 2000, "cache_write_5m": 300, "output": 120},
        {"provider": "anthropic", "model": "claude-sonnet-4-5", "request_id": None},
    ),
    "old, without operation": (
        OLD_CONVENTIONS,
        {"input": 90, "output": 10},
        {"provider": "azure.ai.openai", "model": "gpt-4"},
    ),
    "OpenLLMetry": (
        OPENLLMETRY,
        {"input": 4, "cache_read": 1159, "cache_write_5m": 0, "output": 187},
        {"provider": "anthropic", "customer": "acme", "total_tokens": 1350},
    ),
    "OpenLLMetry, Bedrock without the cached": (
        OPENLLMETRY_BEDROCK,
        {"input": 12, "cache_read": 1000, "output": 40},
        {"provider": "aws.bedrock", "total_tokens": None},
    ),
    "OpenInference": (
        OPENINFERENCE,
        {
            "input": 360,
            "cache_read": 100,
            "input_audio": 40,
            "output": 60,
            "reasoning": 16,
            "output_audio": 4,
        },
        {"provider": "azure.ai.openai", "workflow": "s-9", "total_tokens": 580},
    ),
    "OpenInference, embedding": (
        OPENINFERENCE_EMBEDDING,
        {"input": 8},
        {"provider": "openai", "model": "text-embedding-3-small", "total_tokens": 8},
    ),
    "Vercel 4": (VERCEL_4, {"input": 21, "output": 34}, {"provider": "openai", "team": "ads"}),
    "Vercel 6": (
        VERCEL_6,
        {"input": 3, "cache_read": 22041, "cache_write_5m": 6422, "output": 56, "reasoning": 64},
        {"provider": "anthropic", "total_tokens": 28586},
    ),
    "Vercel, embedding": (
        VERCEL_EMBEDDING,
        {"input": 6},
        {"provider": "gcp.gemini", "model": "text-embedding-004"},
    ),
    "Gemini without the thoughts": (
        GEMINI,
        {"input": 100, "output": 50, "reasoning": 70},
        {"provider": "gcp.vertex_ai"},
    ),
    "LangSmith": (LANGSMITH, {"input": 258, "output": 83}, {"provider": "mistral_ai"}),
}


def only(attributes: dict[str, Any]) -> UsageEvent:
    (usage,) = map_spans(traces(span(attributes)))
    return checked(usage.fields)


@pytest.mark.parametrize("case", CASES)
def test_a_call_has_the_buckets_of_its_dialect(case):
    attributes, expected, _ = CASES[case]
    event = only(attributes)
    found = {name: value for name in BUCKET_NAMES if (value := getattr(event, name)) is not None}
    assert found == {f"{name}_tokens": value for name, value in expected.items()}
    assert event.usage_source == "reported"


@pytest.mark.parametrize("case", CASES)
def test_a_call_has_the_fields_of_its_dialect(case):
    attributes, _, expected = CASES[case]
    event = only(attributes)
    assert {name: getattr(event, name) for name in expected} == expected
    assert event.application == "agent"
    assert event.team == expected.get("team", "search")
    assert event.status == "ok"


@pytest.mark.parametrize("case", CASES)
def test_nothing_that_was_said_is_kept(case):
    assert "secret" not in only(CASES[case][0]).model_dump_json()
