"""Names of providers: OpenTelemetry's ``gen_ai.provider.name``, where it has one."""

from __future__ import annotations

_ALIASES = {
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "azure_ai": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure.openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google_gla": "gcp.gemini",
    "google_ai_studio": "gcp.gemini",
    "google_vertex": "gcp.vertex_ai",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}


def provider_name(name: object) -> str:
    """The name to meter under: ``azure`` is ``azure.ai.openai``, ``x-ai`` is ``x_ai``.

    A provider that is not known here keeps its name, in small letters; no name gives ``unknown``.
    """
    if not isinstance(name, str) or not name.strip():
        return "unknown"
    given = name.strip().lower()
    key = given.replace("-", "_").replace(" ", "_")
    if key in _ALIASES:
        return _ALIASES[key]
    return key if key in _STANDARD else given


_STANDARD = frozenset(_ALIASES.values())
