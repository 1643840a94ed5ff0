"""Bedrock's own counts: Converse, the streams' metrics, and the response headers of InvokeModel.

``inputTokens`` excludes what the cache served or stored. InvokeModel answers with the model's own
body (Anthropic's, say), which is read as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spendstream.usage._numbers import Tokens, Unusable, count, known, less, mapping

_HEADERS = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
_MOST_DIGITS = 10
METRICS = "amazon-bedrock-invocationMetrics"
"""Where the last chunk of InvokeModelWithResponseStream has its counts."""


def converse(usage: Mapping[str, Any], provider: str) -> Tokens:
    """``usage`` of Converse and Nova; a stream's metrics, whose names end in ``TokenCount``."""
    del provider
    return Tokens(_input(usage), _output(usage), count(usage, "totalTokens"))


def _input(usage: Mapping[str, Any]) -> dict[str, int]:
    given = count(usage, "inputTokens", "inputTokenCount")
    if given is None:
        return {}
    written = count(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    lifetimes = _by_lifetime(usage)
    short, long = lifetimes.get("5m"), lifetimes.get("1h")
    if written is not None:
        # Five minutes is the lifetime where none is said.
        short = less(written, long) if short is None else short + less(written, short, long)
    return known(
        input_tokens=given,
        cache_read_tokens=count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
    )


def _output(usage: Mapping[str, Any]) -> dict[str, int]:
    return known(output_tokens=count(usage, "outputTokens", "outputTokenCount"))


def _by_lifetime(usage: Mapping[str, Any]) -> dict[str, int]:
    details = usage.get("cacheDetails")
    if details is None:
        return {}
    if not isinstance(details, list):
        raise Unusable("cacheDetails is no list")
    found: dict[str, int] = {}
    for entry in details:
        lifetime, tokens = mapping(entry).get("ttl"), count(mapping(entry), "inputTokens")
        if isinstance(lifetime, str) and lifetime in {"5m", "1h"} and tokens is not None:
            found[lifetime] = found.get(lifetime, 0) + tokens
    return found


def counts_of_headers(headers: Mapping[str, str]) -> dict[str, int]:
    """The counts of the response headers (names in small letters), as a stream's metrics have them.

    A header that is no plain number is left out.
    """
    return {
        name: int(headers[header])
        for header, name in _HEADERS.items()
        if header in headers and _is_number(headers[header])
    }


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS
