"""What a body says besides its tokens: model, id, tier, region, cost, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spendstream.usage._numbers import cost, mapping, text

_TICKS_PER_USD = 10**10
"""xAI's unit of ``cost_in_usd_ticks``."""

_TIERS = {
    "default": "standard",
    "standard": "standard",
    "on_demand": "standard",
    "batch": "batch",
    "flex": "flex",
    "on_demand_flex": "flex",
    "priority": "priority",
    "on_demand_priority": "priority",
}
"""What providers call the tier that was billed. Others (scale, reserved, provisioned throughput)
are paid for in advance and have no tier of ours."""

_NO_PLACE = ("", "global", "not_available")
_RATE_LIMITED = ("rate_limit", "resource_exhausted", "throttling", "too_many_requests", "429")
_STATES = {
    "failed": "error",
    "cancelled": "cancelled",
    "completed": "ok",
    "incomplete": "ok",
}
"""States of OpenAI's Responses; an incomplete one was cut at a limit that the caller had set."""
_MOST_CALLS = 10**9


def fields(
    provider: str, body: Mapping[str, Any], request: Mapping[str, Any], headers: Mapping[str, str]
) -> dict[str, Any]:
    """The fields that the body says, apart from tokens; what is not said is left out."""
    model = _model(body.get("model")) or _model(body.get("modelVersion"))
    asked = _model(request.get("model")) or _model(request.get("modelId"))
    usage = mapping(body.get("usage"))
    found = {
        "provider": provider,
        "model": model or asked,
        "requested_model": asked if model and asked != model else None,
        "request_id": _request_id(body, headers),
        "service_tier": _tier(body, headers),
        "region": _region(usage),
        "provider_cost": _cost(provider, usage),
        "tags": _tags(usage, mapping(mapping(body.get("meta")).get("billed_units"))),
        **_outcome(body),
    }
    return {name: value for name, value in found.items() if value}


def lowered(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers by their name in small letters; what is no text is left out."""
    return {
        name.lower(): value
        for name, value in mapping(headers).items()
        if isinstance(name, str) and isinstance(value, str)
    }


def lowered_of_boto(body: Mapping[str, Any]) -> dict[str, str]:
    """The headers that boto3 puts into its responses."""
    return lowered(mapping(mapping(body.get("ResponseMetadata")).get("HTTPHeaders")))


def _model(value: object) -> str | None:
    """A model's name, of Google's resource names (publishers/google/models/…) the last part."""
    name = text(value)
    return name if name is None else text(name.rpartition("models/")[2])


def _request_id(body: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    said = [body.get(name) for name in ("id", "responseId", "generation_id", "request_id")]
    said += [mapping(body.get("ResponseMetadata")).get("RequestId"), headers.get(_AMAZON_ID)]
    return next((found for value in said if (found := text(value))), None)


_AMAZON_ID = "x-amzn-requestid"


def _tier(body: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    google = mapping(body.get("usageMetadata"))
    said = (
        body.get("service_tier"),
        mapping(body.get("usage")).get("service_tier"),
        body.get("serviceTier"),
        mapping(body.get("serviceTier")).get("type"),
        google.get("serviceTier"),
        google.get("trafficType"),
        headers.get("x-gemini-service-tier"),
    )
    names = (name.lower() for name in said if isinstance(name, str))
    return next((_TIERS[name] for name in names if name in _TIERS), None)


def _region(usage: Mapping[str, Any]) -> str | None:
    place = text(usage.get("inference_geo"))
    return None if place in _NO_PLACE else place


def _cost(provider: str, usage: Mapping[str, Any]) -> str | None:
    if provider == "openrouter":
        return cost(usage.get("cost"))
    if provider == "x_ai":
        return cost(usage.get("cost_in_usd_ticks"), _TICKS_PER_USD)
    return None


def _tags(usage: Mapping[str, Any], billed: Mapping[str, Any]) -> dict[str, str]:
    """What is billed by the call beside tokens, and Anthropic's fast mode."""
    calls = {
        **mapping(usage.get("server_tool_use")),
        "num_sources_used": usage.get("num_sources_used"),
        "search_units": billed.get("search_units"),
    }
    tags = {name: str(int(n)) for name, n in calls.items() if text(name) and _is_calls(n)}
    speed = text(usage.get("speed"))
    return tags | ({"speed": speed} if speed and speed != "standard" else {})


def _is_calls(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value < _MOST_CALLS and value == int(value)


def _code(said: Any) -> str | None:
    """A text that is a code: xAI has sentences in its place."""
    code = text(said)
    return None if code is None or len(code.split()) > 1 else code


def _outcome(body: Mapping[str, Any]) -> dict[str, str | None]:
    """``status`` and ``error_code`` where the body says how the call ended."""
    error = body.get("error")
    if not error:
        state = body.get("status")
        return {"status": _STATES.get(state) if isinstance(state, str) else None}
    said = mapping(error)
    named = [text(said.get(name)) for name in ("code", "type", "status")]
    number = said.get("code")
    if isinstance(number, int) and not isinstance(number, bool) and 0 < number < _MOST_CALLS:
        named.append(str(number))
    codes = [name for name in named if name]
    limited = any(word in code.lower() for code in codes for word in _RATE_LIMITED)
    return {
        "status": "rate_limited" if limited else "error",
        "error_code": codes[0] if codes else _code(error) or _code(body.get("code")),
    }
