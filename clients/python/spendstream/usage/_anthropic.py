"""Anthropic's counts: input, cache reads and cache writes are disjoint already.

Also served by Bedrock, Vertex, Azure and others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spendstream.usage._numbers import Tokens, count, known, less, mapping, part

_INSIDE = "compaction"
"""The kind of iteration that is billed and that the top-level counts leave out."""


def messages(usage: Mapping[str, Any], provider: str) -> Tokens:
    """``usage`` of a message, whole or as a stream has added it up so far."""
    del provider
    tokens = _once(usage)
    iterations = usage.get("iterations")
    for iteration in iterations if isinstance(iterations, list) else ():
        if mapping(iteration).get("type") == _INSIDE:
            extra = _once(iteration)
            tokens = Tokens(_sum(tokens.input, extra.input), _sum(tokens.output, extra.output))
    return tokens


def _once(usage: Mapping[str, Any]) -> Tokens:
    return Tokens(_input(usage), _output(usage))


def _input(usage: Mapping[str, Any]) -> dict[str, int]:
    given = count(usage, "input_tokens")
    if given is None:
        return {}
    written = count(usage, "cache_creation_input_tokens")
    lifetimes = part(usage, "cache_creation")
    short = count(lifetimes, "ephemeral_5m_input_tokens")
    long = count(lifetimes, "ephemeral_1h_input_tokens")
    if written is not None:
        # Five minutes is the lifetime where none is said.
        short = less(written, long) if short is None else short + less(written, short, long)
    return known(
        input_tokens=given,
        cache_read_tokens=count(usage, "cache_read_input_tokens"),
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
    )


def _output(usage: Mapping[str, Any]) -> dict[str, int]:
    answer = count(usage, "output_tokens")
    if answer is None:
        return {}
    thinking = count(part(usage, "output_tokens_details"), "thinking_tokens")
    return known(output_tokens=less(answer, thinking), reasoning_tokens=thinking)


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in (*left, *right)}
