"""Gemini's and Vertex's ``usageMetadata``.

The prompt's count includes what the cache served; tool results and thoughts lie beside it and
beside the candidates. Video and documents are billed by their pictures and count as images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spendstream.usage._numbers import Tokens, Unusable, count, known, less

_IMAGES = {"IMAGE", "VIDEO", "DOCUMENT"}


def generate_content(usage: Mapping[str, Any], provider: str) -> Tokens:
    """``usageMetadata`` of generateContent, of its streams, and of Live (``response…``)."""
    del provider
    return Tokens(_input(usage), _output(usage), count(usage, "totalTokenCount"))


def _input(usage: Mapping[str, Any]) -> dict[str, int]:
    prompt, tools = count(usage, "promptTokenCount"), count(usage, "toolUsePromptTokenCount")
    if prompt is None:
        return {}
    cached = count(usage, "cachedContentTokenCount")
    of_prompt = _by_modality(usage, "promptTokensDetails")
    of_tools = _by_modality(usage, "toolUsePromptTokensDetails") if tools is not None else {}
    of_cache = _by_modality(usage, "cacheTokensDetails") if cached is not None else {}
    audio = _new("audio", of_prompt, of_tools, of_cache)
    image = _new("image", of_prompt, of_tools, of_cache)
    return known(
        input_tokens=less(prompt + (tools or 0), cached, audio, image),
        cache_read_tokens=None if cached is None else less(cached, *of_cache.values()),
        input_audio_tokens=audio,
        cache_read_audio_tokens=of_cache.get("audio"),
        input_image_tokens=image,
        cache_read_image_tokens=of_cache.get("image"),
    )


def _new(
    kind: str,
    of_prompt: Mapping[str, int],
    of_tools: Mapping[str, int],
    of_cache: Mapping[str, int],
) -> int | None:
    if kind not in of_prompt and kind not in of_tools:
        return None
    return less(of_prompt.get(kind, 0), of_cache.get(kind)) + of_tools.get(kind, 0)


def _output(usage: Mapping[str, Any]) -> dict[str, int]:
    answer = count(usage, "candidatesTokenCount", "responseTokenCount")
    thoughts = count(usage, "thoughtsTokenCount")
    name = "candidatesTokensDetails" if "candidatesTokensDetails" in usage else _LIVE_DETAILS
    kinds = _by_modality(usage, name) if answer is not None else {}
    return known(
        output_tokens=None if answer is None else less(answer, *kinds.values()),
        reasoning_tokens=thoughts,
        output_audio_tokens=kinds.get("audio"),
        output_image_tokens=kinds.get("image"),
    )


_LIVE_DETAILS = "responseTokensDetails"


def _by_modality(usage: Mapping[str, Any], name: str) -> dict[str, int]:
    """Tokens of sound and of pictures; text, and whatever is new, is what is left."""
    details = usage.get(name)
    if details is None:
        return {}
    if not isinstance(details, list):
        raise Unusable(f"{name} is no list")
    found: dict[str, int] = {}
    for entry in details:
        if not isinstance(entry, Mapping):
            raise Unusable(f"{name} holds something else than objects")
        modality, tokens = entry.get("modality"), count(entry, "tokenCount")
        kind = "audio" if modality == "AUDIO" else "image" if str(modality) in _IMAGES else None
        if kind is not None and tokens is not None:
            found[kind] = found.get(kind, 0) + tokens
    return found
