"""The token buckets: disjoint, so that their sum is what was billed.

Providers report overlapping numbers (OpenAI's ``prompt_tokens`` includes the cached ones,
Anthropic's ``input_tokens`` does not). Adapters convert at the edge; from there on a token is in
one bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAX_TOKENS_PER_EVENT = 1_000_000_000
"""Bound on the sum of an event's buckets. With MAX_RATE of the price book it keeps every cost of
one event inside 64-bit pico-dollars, so that column arithmetic cannot wrap around."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One kind of billed token. ``cache`` says how a cache took part, ``ttl`` for how long."""

    name: str
    direction: Literal["input", "output"]
    modality: Literal["text", "audio", "image"] = "text"
    cache: Literal["read", "write"] | None = None
    ttl: Literal["5m", "1h"] | None = None
    reasoning: bool = False


BUCKETS: tuple[Bucket, ...] = (
    Bucket("input_tokens", "input"),
    Bucket("cache_read_tokens", "input", cache="read"),
    Bucket("cache_write_5m_tokens", "input", cache="write", ttl="5m"),
    Bucket("cache_write_1h_tokens", "input", cache="write", ttl="1h"),
    Bucket("input_audio_tokens", "input", "audio"),
    Bucket("cache_read_audio_tokens", "input", "audio", cache="read"),
    Bucket("input_image_tokens", "input", "image"),
    Bucket("cache_read_image_tokens", "input", "image", cache="read"),
    Bucket("output_tokens", "output"),
    Bucket("reasoning_tokens", "output", reasoning=True),
    Bucket("output_audio_tokens", "output", "audio"),
    Bucket("output_image_tokens", "output", "image"),
)

BUCKET_NAMES: tuple[str, ...] = tuple(bucket.name for bucket in BUCKETS)
INPUT_BUCKETS: tuple[str, ...] = tuple(b.name for b in BUCKETS if b.direction == "input")
OUTPUT_BUCKETS: tuple[str, ...] = tuple(b.name for b in BUCKETS if b.direction == "output")
