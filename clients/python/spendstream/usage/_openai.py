"""OpenAI's counts, and those of all who speak its dialect: chat, Responses, embeddings, images.

What is cached, written, audio or image lies inside the prompt's count, and reasoning inside the
answer's. Predicted tokens, accepted or rejected, are inside it too and billed as answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spendstream.usage._numbers import NOTHING, Tokens, Unusable, count, known, less, part


def chat(usage: Mapping[str, Any], provider: str) -> Tokens:
    """Chat completions, completions, embeddings: ``prompt_tokens``, ``completion_tokens``."""
    return Tokens(
        _input(usage, "prompt_tokens", part(usage, "prompt_tokens_details")),
        _output(
            usage,
            provider,
            "prompt_tokens",
            "completion_tokens",
            part(usage, "completion_tokens_details"),
        ),
        count(usage, "total_tokens"),
    )


def responses(usage: Mapping[str, Any], provider: str) -> Tokens:
    """Responses, images, audio, realtime: ``input_tokens``, ``output_tokens``.

    Details are called ``input_tokens_details``, in realtime and transcriptions
    ``input_token_details``.
    """
    return Tokens(
        _input(usage, "input_tokens", _details(usage, "input")),
        _output(usage, provider, "input_tokens", "output_tokens", _details(usage, "output")),
        count(usage, "total_tokens"),
    )


def _details(usage: Mapping[str, Any], direction: str) -> Mapping[str, Any]:
    return part(usage, f"{direction}_tokens_details") or part(usage, f"{direction}_token_details")


def _input(usage: Mapping[str, Any], name: str, details: Mapping[str, Any]) -> dict[str, int]:
    prompt = count(usage, name)
    if prompt is None:
        return {}
    read = _cached(usage, prompt, details)
    written = count(details, "cache_write_tokens")
    audio, image = count(details, "audio_tokens"), count(details, "image_tokens")
    of_read = part(details, "cached_tokens_details") if read is not None else NOTHING
    read_audio, read_image = count(of_read, "audio_tokens"), count(of_read, "image_tokens")
    new_audio = None if audio is None else less(audio, read_audio)
    new_image = None if image is None else less(image, read_image)
    return known(
        input_tokens=less(prompt, read, written, new_audio, new_image),
        cache_read_tokens=None if read is None else less(read, read_audio, read_image),
        cache_write_5m_tokens=written,
        input_audio_tokens=new_audio,
        cache_read_audio_tokens=read_audio,
        input_image_tokens=new_image,
        cache_read_image_tokens=read_image,
    )


def _cached(usage: Mapping[str, Any], prompt: int, details: Mapping[str, Any]) -> int | None:
    """DeepSeek says how the prompt splits into hits and misses, perhaps beside OpenAI's detail."""
    read = count(details, "cached_tokens")
    hit, miss = count(usage, "prompt_cache_hit_tokens"), count(usage, "prompt_cache_miss_tokens")
    if hit is None:
        return read
    if read not in (None, hit) or (miss is not None and hit + miss != prompt):
        raise Unusable("what the cache served is said twice, and differs")
    return hit


def _output(
    usage: Mapping[str, Any],
    provider: str,
    input_name: str,
    output_name: str,
    details: Mapping[str, Any],
) -> dict[str, int]:
    answer = count(usage, output_name)
    if answer is None:
        return {}
    reasoning = count(details, "reasoning_tokens")
    audio, image = count(details, "audio_tokens"), count(details, "image_tokens")
    both = (count(usage, input_name) or 0) + answer
    inside = None if _beside(provider, reasoning, both, count(usage, "total_tokens")) else reasoning
    return known(
        output_tokens=less(answer, inside, audio, image),
        reasoning_tokens=reasoning,
        output_audio_tokens=audio,
        output_image_tokens=image,
    )


def _beside(provider: str, reasoning: int | None, both: int, total: int | None) -> bool:
    """Whether reasoning lies beside the answer's count, not inside it.

    xAI's chat counts it beside. The provider's own total settles it, also for those who serve
    xAI's models under another name; without one xAI's are taken to lie beside.
    """
    if not reasoning or total == both:
        return False
    return provider == "x_ai" or total == both + reasoning
