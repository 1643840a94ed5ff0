"""`read_usage`: which dialect a body speaks, and the event's fields from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from spendstream._fields import UsageFields
from spendstream.usage import _anthropic, _bedrock, _cohere, _envelope, _gemini, _openai
from spendstream.usage._numbers import MAX_TOKENS, Tokens, Unusable, mapping
from spendstream.usage._providers import provider_name

Dialect = Callable[[Mapping[str, Any], str], Tokens]

_NO_ANSWER = ("data", "embedding", "embeddings")
"""Bodies with these hold vectors or pictures: they need not count an answer."""
_ANTHROPICS = ("cache_read_input_tokens", "cache_creation_input_tokens")


def read_usage(
    provider: str,
    body: Mapping[str, Any] | None,
    request: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> UsageFields:
    """The fields for ``emit`` that a whole response says: never raises, never guesses.

    ``provider``: gen_ai.provider.name or a common alias (`provider_name`). ``body``: the decoded
    JSON. ``request``: the decoded JSON of the request, for the model that was asked for.
    ``headers``: those of the response, where Bedrock counts what InvokeModel's bodies do not, and
    Gemini names the tier.

    Without a usable count, or with counts that cannot all be true, ``usage_source`` is ``missing``
    and there is no bucket. ``model`` is left out where neither body nor request names one.
    """
    said, name = mapping(body), provider_name(provider)
    heard = _envelope.lowered(headers) or _envelope.lowered_of_boto(said)
    fields = _envelope.fields(name, said, mapping(request), heard)
    try:
        tokens = tokens_of(name, said, heard)
    except Unusable:
        tokens = Tokens()
    whole = tokens.input and (tokens.output or answers_nothing(said))
    return counted(fields, tokens if whole else Tokens(), "reported")


def counted(fields: dict[str, Any], tokens: Tokens, source: str) -> UsageFields:
    """The fields with buckets, source and total; without buckets the usage is missing."""
    buckets = {**tokens.input, **tokens.output}
    held = sum(buckets.values())
    if not buckets or held > MAX_TOKENS:
        return cast(UsageFields, fields | {"usage_source": "missing"})
    if source == "reported":
        fields.setdefault("status", "ok")
        if tokens.total == held:
            fields["total_tokens"] = held
    return cast(UsageFields, fields | buckets | {"usage_source": source})


def answers_nothing(body: Mapping[str, Any]) -> bool:
    """Whether the body may lack a count of the answer: embeddings, or Gemini, which omits a 0."""
    return any(name in body for name in _NO_ANSWER) or "usageMetadata" in body


def tokens_of(provider: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Tokens:
    """The counts of a body, or else of Bedrock's headers. Raises Unusable."""
    usage, dialect = _found(provider, body)
    tokens = dialect(usage, provider) if dialect else Tokens()
    if not tokens.input and not tokens.output and provider == "aws.bedrock":
        return _bedrock.converse(_bedrock.counts_of_headers(headers), provider)
    return tokens


def _found(provider: str, body: Mapping[str, Any]) -> tuple[Mapping[str, Any], Dialect | None]:
    """The counts, and who reads them: told by their names, as hosts serve many dialects."""
    if "usageMetadata" in body:
        return mapping(body["usageMetadata"]), _gemini.generate_content
    if _bedrock.METRICS in body and not mapping(body.get("usage")):
        return mapping(body[_bedrock.METRICS]), _bedrock.converse
    usage = usage_of(body)
    if "prompt_tokens" in usage:
        return usage, _openai.chat
    if "billed_units" in usage or "tokens" in usage:
        return usage, _cohere.billed
    if "inputTokens" in usage:
        return usage, _bedrock.converse
    if "input_tokens" in usage:
        return usage, _anthropic.messages if _is_message(provider, body) else _openai.responses
    return usage, None


def _is_message(provider: str, body: Mapping[str, Any]) -> bool:
    if body.get("type") == "message" or any(name in usage_of(body) for name in _ANTHROPICS):
        return True
    return provider == "anthropic" and body.get("object") != "response"


def usage_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a body has its counts: ``usage``, Groq's ``x_groq.usage``, Cohere's ``meta``."""
    return (
        mapping(body.get("usage"))
        or mapping(mapping(body.get("x_groq")).get("usage"))
        or mapping(body.get("meta"))
    )
