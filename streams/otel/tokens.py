"""Overlapping token counts into disjoint buckets.

The GenAI conventions say that input tokens include the cached ones, and output tokens the
reasoning. Not every instrumentation does (Anthropic's and Bedrock's own numbers leave the cached
ones out, Gemini's the reasoning), and none says which it does. `buckets` decides by the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

CachedAre = Literal["included", "excluded"]


@dataclass(frozen=True, slots=True)
class Reported:
    """Token counts as a span has them; None where it does not say.

    ``input`` may or may not include what a cache served or stored, ``output`` the reasoning.
    ``uncached``: the part of the input that no cache took part in, where it is told apart.
    """

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    uncached: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    output_audio: int | None = None

    @property
    def cached(self) -> int:
        """What a cache served or stored."""
        return (self.cache_read or 0) + (self.cache_write or 0)

    @property
    def known(self) -> bool:
        """Whether anything was used. All zero is how some say that they do not know."""
        return bool(self.input or self.output or self.cached or self.uncached or self.reasoning)


def buckets(reported: Reported, cached_are: CachedAre | None = None) -> dict[str, int]:
    """Disjoint buckets of a usage event, and ``total_tokens`` where the reported one confirms them.

    Empty where nothing is known. A side is taken as the conventions have it unless that cannot be
    (more cached than input, more reasoning than output), or unless only the other reading adds up
    to the reported total. ``cached_are`` overrides that for the input. Audio and image tokens that
    do not fit beside the cached ones stay in the text: how the two overlap is not reported.
    """
    if not reported.known:
        return {}
    readings = list(product(_prompt_readings(reported, cached_are), _answer_readings(reported)))
    prompt, answer = next((pair for pair in readings if _sum(*pair) == reported.total), readings[0])
    found = prompt | answer
    if reported.total == sum(found.values()):
        found["total_tokens"] = reported.total
    return found


def _sum(prompt: dict[str, int], answer: dict[str, int]) -> int:
    return sum(prompt.values()) + sum(answer.values())


def _prompt_readings(reported: Reported, cached_are: CachedAre | None) -> list[dict[str, int]]:
    cached = {
        name: count
        for name, count in (
            ("cache_read_tokens", reported.cache_read),
            ("cache_write_5m_tokens", reported.cache_write),
        )
        if count is not None
    }
    if reported.uncached is not None:
        rests = [reported.uncached]
    elif reported.input is None:
        return [cached]
    elif cached_are == "excluded" or reported.cached > reported.input:
        rests = [reported.input]
    elif cached_are == "included":
        rests = [reported.input - reported.cached]
    else:
        rests = [reported.input - reported.cached, reported.input]
    modalities = {
        "input_audio_tokens": reported.input_audio,
        "input_image_tokens": reported.input_image,
    }
    return [_split(rest, "input_tokens", modalities) | cached for rest in rests]


def _answer_readings(reported: Reported) -> list[dict[str, int]]:
    reasoning = {} if reported.reasoning is None else {"reasoning_tokens": reported.reasoning}
    if reported.output is None:
        return [reasoning]
    audio = {"output_audio_tokens": reported.output_audio}
    rests = [reported.output]
    if (reported.reasoning or 0) <= reported.output:
        rests.insert(0, reported.output - (reported.reasoning or 0))
    return [_split(rest, "output_tokens", audio) | reasoning for rest in rests]


def _split(rest: int, text: str, modalities: dict[str, int | None]) -> dict[str, int]:
    """``rest`` into its modalities and text; all of it text where they do not fit into it."""
    given = {name: count for name, count in modalities.items() if count is not None}
    beside = rest - sum(given.values())
    return {text: rest} if beside < 0 else {text: beside} | given
