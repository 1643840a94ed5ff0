"""Which attribute says what, in the order in which they are asked: newest conventions first.

Dialects: OpenTelemetry's GenAI conventions, current (their own repository since 2026) and old
(`gen_ai.system`, `prompt_tokens`); OpenLLMetry (`llm.usage.*`); OpenInference
(`llm.token_count.*`); Vercel's AI SDK (`ai.*`); Sentry's and Pydantic's spellings of details.
"""

from __future__ import annotations

RESPONSE_MODEL = ("gen_ai.response.model", "llm.response.model_name", "ai.response.model")
REQUEST_MODEL = (
    "gen_ai.request.model",
    "llm.request.model_name",
    "llm.model_name",
    "embedding.model_name",
    "ai.model.id",
)
RESPONSE_ID = ("gen_ai.response.id", "ai.response.id")

PROVIDER = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
)

PROVIDERS = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "google.generative-ai": "gcp.gemini",
    "gemini": "gcp.gemini",
    "google.vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "vertex.anthropic": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
    "watsonx": "ibm.watsonx.ai",
    "together": "together_ai",
    "togetherai": "together_ai",
    "moonshot": "moonshot_ai",
}
"""Other spellings of the well-known values of `gen_ai.provider.name`, in lower case."""

FRAMEWORKS = frozenset(
    {
        "langchain",
        "langgraph",
        "crewai",
        "llamaindex",
        "llama_index",
        "haystack",
        "strands-agents",
        "_other",
    }
)
"""What some instrumentations put where the provider belongs: they bill nobody."""

INTERFACES = (".chat", ".responses", ".messages", ".completion", ".embedding")
"""What Vercel's AI SDK says behind the provider (`openai.responses`)."""

INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
)
TOTAL = (
    "gen_ai.usage.total_tokens",
    "llm.usage.total_tokens",
    "llm.token_count.total",
    "ai.usage.totalTokens",
)
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
    "ai.usage.inputTokenDetails.cacheReadTokens",
    "ai.usage.cachedInputTokens",
)
CACHE_WRITE = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.token_count.prompt_details.cache_write",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)
UNCACHED = ("ai.usage.inputTokenDetails.noCacheTokens",)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "ai.usage.outputTokenDetails.reasoningTokens",
    "ai.usage.reasoningTokens",
)
INPUT_AUDIO = ("gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio")
INPUT_IMAGE = ("gen_ai.usage.image.input_tokens",)
OUTPUT_AUDIO = ("gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio")

CACHED_ARE = "spendstream.cached_tokens"
"""`included` or `excluded`: what INPUT says about the cached ones, where the rule would guess."""

SERVICE_TIER = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "openai.request.service_tier",
    "gen_ai.openai.request.service_tier",
)
SERVICE_TIERS = {
    "default": "standard",
    "standard": "standard",
    "batch": "batch",
    "flex": "flex",
    "priority": "priority",
}

METADATA = ("traceloop.association.properties", "ai.telemetry.metadata")
"""What SDKs that let nobody set `spendstream.<field>` put in front of metadata of their own."""

FALLBACKS: dict[str, tuple[str, ...]] = {
    "team": ("team",),
    "user": ("user.id", "enduser.id", "gen_ai.user", "llm.user"),
    "workflow": ("gen_ai.conversation.id", "session.id"),
}
"""Asked on the span after `spendstream.<field>`."""
RESOURCE_FALLBACKS: dict[str, tuple[str, ...]] = {
    "team": ("team",),
    "application": ("service.name",),
    "environment": ("deployment.environment.name", "deployment.environment"),
}
"""Asked on the resource, last of all."""
