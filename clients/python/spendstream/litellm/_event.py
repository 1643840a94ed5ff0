"""From what LiteLLM tells of an attempt to the fields of its usage event."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spendstream._fields import Status, UsageFields
from spendstream._instrument_calls import prompt_hash
from spendstream._prefix import prefix_of
from spendstream.litellm._attribution import Attribution, clean, tags_of
from spendstream.litellm._ticket import Attempt, Ticket, metadata_of
from spendstream.litellm._usage import as_mapping, buckets, usage_of
from spendstream.usage import provider_name

_PROVIDERS = {
    "azure_text": "azure",
    "bedrock_mantle": "bedrock",
    "cohere_chat": "cohere",
    "ollama_chat": "ollama",
    "sagemaker_chat": "sagemaker",
    "text-completion-openai": "openai",
    "vertex_ai_beta": "vertex_ai",
}
"""LiteLLM's second names for a provider: another endpoint of it, the same bill."""
_ROUTES = ("converse/", "converse_like/", "invoke/", "responses/")
"""What LiteLLM puts in front of a model to choose an endpoint."""
PROMPT = ("system", "instructions", "messages", "input", "prompt")
ASKED = (*PROMPT, "tools", "functions", "previous_response_id", "conversation")
"""What of a request is kept: the prompt, and what more says which part of it stays."""


def billed_by(provider: object) -> str:
    """The provider as usage events name it."""
    text = str(provider) if provider else ""
    return provider_name(_PROVIDERS.get(text, text))


def billed_model(model: object, provider: object, information: object = None) -> str:
    """The model as the price book knows it: ``base_model`` where the proxy's config names one.

    Without it the name of the deployment, less the provider in front of it.
    """
    base = information.get("base_model") if isinstance(information, Mapping) else None
    name = str(base or model or "unknown")
    for prefix in (f"{provider}/", *_ROUTES):
        name = name.removeprefix(prefix)
    return clean(name) or "unknown"


def answered(
    ticket: Ticket,
    attempt: Attempt,
    told: Mapping[str, Any],
    response: object,
    end: object,
    attribution: Attribution,
) -> UsageFields:
    """The event of an attempt that was answered, by the provider or by LiteLLM's cache.

    ``told``: LiteLLM's ``kwargs`` of the success callback. A client that went away in the middle
    of a stream leaves a status ``cancelled``, and counts that LiteLLM has estimated.
    """
    metadata = metadata_of(told)
    gone = metadata.get("client_disconnected") is True
    cached = told.get("cache_hit") is True
    fields = _common(ticket, attempt, told, metadata, end, attribution)
    group = metadata.get("model_group")
    name = ticket.answered_model or getattr(response, "model", None)
    if isinstance(name, str) and name not in (group, ticket.requested_model):
        fields["model"] = _better(fields["model"], name)
    fields["status"] = "cancelled" if gone else "ok"
    _counted(fields, usage_of(response), response, estimated=gone)
    _prefixed(fields, _asked(ticket, told))
    if cached:
        fields["served_from_cache"] = True
    else:
        fields["request_id"] = clean(_attribute(response, "id"))
    return fields


def failed(
    ticket: Ticket,
    attempt: Attempt,
    told: Mapping[str, Any],
    error: object,
    attribution: Attribution,
) -> UsageFields:
    """The event of an attempt that failed; ``error`` is None where LiteLLM did not say why.

    A stream that broke off has counts where LiteLLM has made some up from what it saw of it: they
    are estimates. It keeps them beside the request, where the next attempt must not find them.
    """
    fields = _common(ticket, attempt, told, metadata_of(told), None, attribution)
    fields["status"] = status_of(error)
    fields["error_code"] = None if error is None else type(error).__name__
    details = getattr(told.get("litellm_logging_obj"), "model_call_details", None) or told
    seen = details.get("combined_usage_object")
    news = None if seen is ticket.counted else as_mapping(seen)
    ticket.counted = seen
    _counted(fields, news, None, estimated=True)
    _prefixed(fields, _asked(ticket, told))
    return fields


def status_of(error: object) -> Status:
    """How a call ended, from LiteLLM's exception."""
    name = type(error).__name__
    if getattr(error, "status_code", None) == 429 or "RateLimit" in name:
        return "rate_limited"
    if "Timeout" in name or getattr(error, "status_code", None) in (408, 504):
        return "timeout"
    return "cancelled" if "Cancelled" in name else "error"


def _common(
    ticket: Ticket,
    attempt: Attempt,
    told: Mapping[str, Any],
    metadata: Mapping[str, Any],
    end: object,
    attribution: Attribution,
) -> UsageFields:
    ended = end.timestamp() if isinstance(end, datetime) else time.time()
    provider = attempt.provider or told.get("custom_llm_provider")
    group = metadata.get("model_group")
    fields = UsageFields(
        event_id=attempt.event_id,
        occurred_at=datetime.fromtimestamp(ended, UTC),
        provider=billed_by(provider),
        model=billed_model(
            attempt.model or told.get("model"), provider, metadata.get("model_info")
        ),
        requested_model=clean(ticket.requested_model or group),
        attempt=attempt.number,
        retry_of=attempt.retry_of,
        latency_ms=max(0, round((ended - attempt.began) * 1000)),
        prompt_hash=_hash(_asked(ticket, told)),
        routing_tier=ticket.tier,
        routing_reason=clean(ticket.reason),
        shadow_of=ticket.shadow_of,
        tags=_tags(told, metadata),
    )
    fields.update(attribution.of(metadata))  # type: ignore[typeddict-item]  # text fields only
    return fields


def _counted(
    fields: UsageFields, usage: Mapping[str, Any] | None, response: object, *, estimated: bool
) -> None:
    read = buckets(str(fields["provider"]), usage, response, estimated=estimated)
    tags = {**(fields["tags"] or {}), **(read.pop("tags", None) or {})}
    fields.update(read)
    fields["tags"] = tags


def _asked(ticket: Ticket, told: Mapping[str, Any]) -> Mapping[str, Any]:
    return ticket.prompt or {name: told[name] for name in ASKED if told.get(name)}


def _prefixed(fields: UsageFields, asked: Mapping[str, Any]) -> None:
    try:
        prefix = prefix_of(asked)
    except (TypeError, ValueError):  # as for `_hash`
        return
    if prefix is not None:
        fields["prefix_hash"] = prefix.hash
        fields["prefix_tokens"] = prefix.tokens(fields)


def _better(deployed: str | None, name: str) -> str:
    """The model that answered, unless it is a dated version of the one that is deployed.

    So that ``gpt-4o`` stays one model in reports, as LiteLLM says the version of some calls only.
    """
    return deployed if deployed and name.startswith(deployed) else clean(name) or name


def _tags(told: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, str]:
    own = {
        "litellm_call_id": told.get("litellm_call_id"),
        "key_alias": metadata.get("user_api_key_alias"),
        "model_group": metadata.get("model_group"),
    }
    return tags_of(metadata) | {name: text for name, v in own.items() if (text := clean(v))}


def _hash(prompt: Mapping[str, Any]) -> str | None:
    try:
        return prompt_hash({name: prompt[name] for name in PROMPT if name in prompt})
    except (TypeError, ValueError):  # no JSON: files, or objects of a framework
        return None


def _attribute(response: object, name: str) -> object:
    return response.get(name) if isinstance(response, Mapping) else getattr(response, name, None)
