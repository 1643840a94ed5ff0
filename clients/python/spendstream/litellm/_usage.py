"""LiteLLM's usage object as disjoint buckets.

LiteLLM speaks OpenAI's dialect for every provider: ``prompt_tokens`` includes what was read from a
cache and what was written to one, also for Anthropic and Bedrock, whose own counts do not; and
``completion_tokens`` includes reasoning. It keeps the lifetimes of Anthropic's cache writes in a
detail of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spendstream._fields import BUCKETS, UsageFields
from spendstream.usage import read_usage

_OURS = frozenset((*BUCKETS, "usage_source", "total_tokens", "service_tier", "region", "tags"))


def usage_of(response: object) -> Mapping[str, Any] | None:
    """The counts of an answer as LiteLLM hands it to callbacks; None where it has none."""
    found = response.get("usage") if isinstance(response, Mapping) else None
    return as_mapping(found if found is not None else getattr(response, "usage", None))


def as_mapping(usage: object) -> Mapping[str, Any] | None:
    """A usage object of LiteLLM, with its details, as a mapping."""
    if isinstance(usage, Mapping):
        return usage
    dump = getattr(usage, "model_dump", None)
    said = dump() if callable(dump) else None
    return said if isinstance(said, Mapping) else None


def buckets(
    provider: str, usage: Mapping[str, Any] | None, response: object, *, estimated: bool
) -> UsageFields:
    """Tokens, where they come from, and the service tier; without usable counts: missing.

    No call has no tokens at all: nothing but zeros is how LiteLLM says that it does not know.
    """
    if usage is None:
        return {"usage_source": "missing"}
    body = {"usage": _openai(usage), "service_tier": _service_tier(usage, response)}
    read = read_usage(provider, body)
    fields: UsageFields = {}
    fields.update({name: read[name] for name in _OURS if name in read})  # type: ignore[literal-required, typeddict-item]
    if not any(fields.get(name) for name in BUCKETS):
        return {"usage_source": "missing"}
    _split_writes(fields, usage)
    if estimated and fields["usage_source"] == "reported":
        fields["usage_source"] = "estimated"
    return fields


def _openai(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The counts with cache reads and writes where OpenAI has them."""
    if usage.get("prompt_tokens") is None:
        return dict(usage)
    details = dict(as_mapping(usage.get("prompt_tokens_details")) or {})
    _take(details, "cached_tokens", usage.get("cache_read_input_tokens"))
    _take(details, "cache_write_tokens", details.get("cache_creation_tokens"))
    _take(details, "cache_write_tokens", usage.get("cache_creation_input_tokens"))
    answer = as_mapping(usage.get("completion_tokens_details")) or {}
    return {**usage, "prompt_tokens_details": details, "completion_tokens_details": dict(answer)}


def _take(details: dict[str, Any], name: str, value: object) -> None:
    if details.get(name) is None and value is not None:
        details[name] = value


def _split_writes(fields: UsageFields, usage: Mapping[str, Any]) -> None:
    details = as_mapping(usage.get("prompt_tokens_details")) or {}
    lifetimes = as_mapping(details.get("cache_creation_token_details")) or {}
    long = lifetimes.get("ephemeral_1h_input_tokens")
    written = fields.get("cache_write_5m_tokens")
    if isinstance(long, int) and written is not None and 0 < long <= written:
        fields["cache_write_5m_tokens"] = written - long
        fields["cache_write_1h_tokens"] = long


def _service_tier(usage: Mapping[str, Any], response: object) -> object:
    if isinstance(response, Mapping):
        said = response.get("service_tier")
    else:
        said = getattr(response, "service_tier", None)
    return said or usage.get("service_tier")
