"""LiteLLM's counts as buckets: the same as those that adapters read from the provider's body."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from litellm.llms.anthropic.chat.transformation import AnthropicConfig
from litellm.llms.bedrock.chat.converse_transformation import AmazonConverseConfig
from litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini import VertexGeminiConfig
from litellm.types.utils import Usage
from spendstream._fields import BUCKETS
from spendstream.litellm._usage import buckets, usage_of
from spendstream.usage import read_usage

ANTHROPIC: dict[str, Any] = {
    "input_tokens": 50,
    "cache_read_input_tokens": 2000,
    "cache_creation_input_tokens": 300,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
    "output_tokens": 120,
}
BEDROCK: dict[str, Any] = {
    "inputTokens": 50,
    "outputTokens": 120,
    "totalTokens": 2470,
    "cacheReadInputTokens": 2000,
    "cacheWriteInputTokens": 300,
}
GEMINI: dict[str, Any] = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 80,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 1110,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 700},
        {"modality": "AUDIO", "tokenCount": 300},
    ],
}


def of_litellm(provider: str, usage: object) -> dict[str, int]:
    counted = buckets(provider, usage_of({"usage": usage}), None, estimated=False)
    assert counted["usage_source"] == "reported"
    return {name: counted[name] for name in BUCKETS if counted.get(name)}  # type: ignore[literal-required]


def of_body(provider: str, body: dict[str, Any]) -> dict[str, int]:
    read = read_usage(provider, body)
    return {name: read[name] for name in BUCKETS if read.get(name)}  # type: ignore[literal-required]


def test_anthropics_cache_reads_and_writes_are_taken_out_of_the_prompt_again() -> None:
    usage = AnthropicConfig().calculate_usage(ANTHROPIC, reasoning_content=None)
    assert usage.prompt_tokens == 2350, "LiteLLM adds them to the prompt"
    body = {"type": "message", "usage": ANTHROPIC}
    assert of_litellm("anthropic", usage) == of_body("anthropic", body)


def test_bedrocks_cache_reads_and_writes_are_taken_out_of_the_prompt_again() -> None:
    usage = AmazonConverseConfig().transform_usage(BEDROCK)  # type: ignore[arg-type]
    assert usage.prompt_tokens == 2350, "LiteLLM adds them to the prompt"
    assert of_litellm("aws.bedrock", usage) == of_body("aws.bedrock", {"usage": BEDROCK})


def test_geminis_thoughts_sound_and_cached_tokens_are_each_counted_once() -> None:
    usage = VertexGeminiConfig._calculate_usage({"usageMetadata": GEMINI})  # type: ignore[typeddict-item]
    assert of_litellm("gcp.gemini", usage) == of_body("gcp.gemini", {"usageMetadata": GEMINI})


@pytest.mark.parametrize(("beside", "total"), [(False, 150), (True, 175)])
def test_reasoning_is_inside_of_the_answer_or_beside_it_as_the_total_says(
    beside: bool, total: int
) -> None:
    usage = Usage(
        prompt_tokens=100,
        completion_tokens=50,
        total_tokens=total,
        completion_tokens_details={"reasoning_tokens": 25},  # type: ignore[arg-type]
    )
    assert of_litellm("x_ai", usage) == {
        "input_tokens": 100,
        "output_tokens": 50 if beside else 25,
        "reasoning_tokens": 25,
    }


def test_counts_that_cannot_be_true_are_missing_and_not_zero() -> None:
    unknown = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    wrong = {"prompt_tokens": 5, "completion_tokens": -1}
    for usage in (None, unknown, wrong, {"prompt_tokens": "many"}):
        counted = buckets("openai", usage, None, estimated=True)
        assert counted["usage_source"] == "missing"
        assert not [name for name in BUCKETS if name in counted]


def test_the_service_tier_of_the_answer_is_kept_and_litellms_own_cost_is_not() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "cost": 0.25}
    counted = buckets("openrouter", usage, SimpleNamespace(service_tier="flex"), estimated=False)
    assert counted["service_tier"] == "flex"
    assert "provider_cost" not in counted
