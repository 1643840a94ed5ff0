"""Which requests are calls of a model, and what they say: provider, model asked for, prompt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spendstream._prefix import HASH_DIGITS, Prefix, prefix_of
from spendstream.usage._sse import decoded_object

_CALLS = (
    *("/chat/completions", "/completions", "/responses", "/responses/compact", "/embeddings"),
    *("/v1/messages", "/v1/complete"),
)
_MEDIA = (
    *("/images/generations", "/images/edits"),
    *("/audio/transcriptions", "/audio/translations"),
)
"""Billed by token with some models only: without a count in the answer there is no event."""

_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "azure-api.net": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "openrouter.ai": "openrouter",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.perplexity.ai": "perplexity",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
    "api.cerebras.ai": "cerebras",
    "api.moonshot.ai": "moonshotai",
    "api.moonshot.cn": "moonshotai",
    "api.z.ai": "zai",
}
"""gen_ai.provider.name where OpenTelemetry has one, else the name that genai-prices uses."""
_AMAZON = (".amazonaws.com", ".api.aws")
_VERTEX = "aiplatform.googleapis.com"
"""Regions stand before it with a hyphen."""

_PROMPT = (
    *("system", "instructions", "messages", "input", "prompt"),
    *("previous_response_id", "conversation"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model. ``media``: an answer without a count is no event."""

    provider: str
    request: Mapping[str, Any]
    prompt_hash: str | None
    media: bool = False
    prefix: Prefix | None = None

    @property
    def streams(self) -> bool:
        """Whether a stream of events was asked for."""
        return self.request.get("stream") is True


def is_call(method: str, path: str) -> bool:
    """Whether a request may be billed by the token: models, files, batches and speech are not."""
    return method == "POST" and path.rstrip("/").endswith(_CALLS + _MEDIA)


def read_call(provider: str, path: str, body: bytes) -> Call:
    """The call that a request makes; an upload's body is not looked into and comes as none."""
    request = decoded_object(body) or {}
    media = path.rstrip("/").endswith(_MEDIA)
    return Call(provider, request, prompt_hash(request), media, prefix_of(request))


def provider_of_host(host: str) -> str | None:
    """Who bills for calls to this host; None where that is not known."""
    name = host.lower().rstrip(".")
    if name.startswith("bedrock") and name.endswith(_AMAZON):
        return "aws.bedrock"
    if name.endswith(_VERTEX):
        return "gcp.vertex_ai"
    for known, provider in _HOSTS.items():
        if name == known or name.endswith(f".{known}"):
            return provider
    return None


def prompt_hash(request: Mapping[str, Any]) -> str | None:
    """A hash by which repeats of a prompt are recognised; None where there is no prompt.

    The first 32 hexadecimal digits of SHA-256 over the canonical JSON (sorted keys, no white space,
    ASCII) of what the model is given: system, instructions, messages, input, prompt, and the
    conversation that it goes on with. Model and parameters are not in it.
    """
    prompt = {name: request[name] for name in _PROMPT if request.get(name) is not None}
    if not prompt:
        return None
    canonical = json.dumps(prompt, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:HASH_DIGITS]


def asking_for_usage(call: Call, path: str) -> bytes | None:
    """The body that asks a streamed chat to end with its usage; None where nothing is to change."""
    if not call.streams or not path.rstrip("/").endswith("/completions"):
        return None
    options = call.request.get("stream_options") or {}
    if not isinstance(options, Mapping) or "include_usage" in options:
        return None
    asked = {**call.request, "stream_options": {**options, "include_usage": True}}
    return json.dumps(asked, separators=(",", ":")).encode()
