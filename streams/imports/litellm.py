"""Rows of `LiteLLM_SpendLogs`: from the table, from CSV of it, or from `GET /spend/logs`.

The token columns include what a cache served; which that was stands in `metadata.usage_object`, as
the provider said it. Times are UTC without a zone. `spend` is what LiteLLM computed by its own
price map. No row holds its prompt or answer here: those columns are not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from schemas import usage
from schemas.errors import InvalidEvent
from streams.imports.source import Fields, Source, as_rows
from streams.imports.values import (
    instant,
    invalid,
    latency_ms,
    mapping,
    missing,
    money,
    parsed,
    provider_name,
    service_tier,
    short,
    text,
    whole,
)
from streams.otel.tokens import Reported, buckets

NAME = "litellm"
COLUMNS = (
    *("request_id", "call_type", "api_key", "spend", "total_tokens", "prompt_tokens"),
    *("completion_tokens", "startTime", "endTime", "model", "model_id", "model_group"),
    *("custom_llm_provider", "user", "metadata", "cache_hit", "request_tags", "team_id"),
    *("organization_id", "end_user", "session_id", "status", "agent_id"),
)
"""What is read of the table, where it has it."""
_KEYS = frozenset({"request_id", "startTime"})
_STATUS: tuple[tuple[usage.Status, re.Pattern[str]], ...] = (
    ("rate_limited", re.compile(r"\b429\b|rate_?limit|budget_?exceeded", re.I)),
    ("timeout", re.compile(r"\b(408|504)\b|time_?out", re.I)),
    ("cancelled", re.compile(r"\b499\b|cancel|disconnect", re.I)),
)


def event(row: Mapping[str, Any]) -> list[Fields]:
    """The event of one row. Raises InvalidEvent."""
    request = text(row.get("request_id"))
    if request is None:
        raise missing("id", "request_id: is not there; it is what tells a row from another")
    metadata = mapping(row, "metadata")
    started, ended = instant(row, "startTime"), instant(row, "endTime")
    model = text(row.get("model")) or text(row.get("model_group"))
    if model is None:
        raise missing("model", "model: is not there")
    if started is None and ended is None:
        raise missing("time", "endTime: is not there")
    tokens = _tokens(row, metadata)
    status, error = _outcome(row, metadata)
    tags = _tags(row, metadata)
    said = text(row.get("custom_llm_provider"))
    return [
        {
            "event_id": f"{NAME}:{request}",
            "occurred_at": ended or started,
            "provider": provider_name(said, model),
            "model": model.removeprefix(f"{said}/") if said else model.rpartition("/")[2],
            "requested_model": text(row.get("model_group")),
            "service_tier": service_tier(_tier(metadata), tags),
            "team": text(metadata.get("user_api_key_team_alias")) or text(row.get("team_id")),
            "project": text(metadata.get("user_api_key_project_alias"))
            or text(metadata.get("user_api_key_project_id")),
            "user": text(row.get("user")),
            "customer": text(row.get("end_user")),
            "request_id": request,
            "status": status,
            "error_code": error,
            "usage_source": "reported" if tokens else "missing",
            **tokens,
            "served_from_cache": _truth(row, "cache_hit"),
            "provider_cost": money(row, "spend"),
            "latency_ms": latency_ms(started, ended),
            "tags": tags,
        }
    ]


def _tokens(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, int]:
    """Disjoint buckets; empty where nothing is known. All zero is LiteLLM's way to say that."""
    said = mapping(metadata, "usage_object") or mapping(metadata, "additional_usage_values")
    prompt = mapping(said, "prompt_tokens_details")
    answer = mapping(said, "completion_tokens_details")
    lifetimes = mapping(prompt, "cache_creation_token_details")
    counts = {
        name: whole(row, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    if negative := next((name for name, count in counts.items() if (count or 0) < 0), None):
        raise InvalidEvent("negative_tokens", f"{negative} is {counts[negative]}, below zero")
    written = _first(
        whole(said, "cache_creation_input_tokens"), whole(prompt, "cache_creation_tokens")
    )
    found = buckets(
        Reported(
            input=counts["prompt_tokens"],
            output=counts["completion_tokens"],
            total=counts["total_tokens"],
            cache_read=_first(
                whole(said, "cache_read_input_tokens"), whole(prompt, "cached_tokens")
            ),
            cache_write=written,
            reasoning=whole(answer, "reasoning_tokens"),
            input_audio=whole(prompt, "audio_tokens"),
            input_image=whole(prompt, "image_tokens"),
            output_audio=whole(answer, "audio_tokens"),
        )
    )
    hour = whole(lifetimes, "ephemeral_1h_input_tokens")
    if hour and written and hour <= written:
        found["cache_write_5m_tokens"] -= hour
        found["cache_write_1h_tokens"] = hour
    return found


def _first(*counts: int | None) -> int | None:
    """The first that says more than zero, else any zero: LiteLLM fills one of two in."""
    return next(
        (count for count in counts if count), next((c for c in counts if c is not None), None)
    )


def _outcome(
    row: Mapping[str, Any], metadata: Mapping[str, Any]
) -> tuple[usage.Status | None, str | None]:
    said = (text(row.get("status")) or text(metadata.get("status")) or "").lower()
    if said != "failure":
        return ("ok" if said == "success" else None), None
    why = mapping(metadata, "error_information")
    kind, code = text(why.get("error_class")), text(why.get("error_code"))
    words = f"{kind or ''} {code or ''}"
    status: usage.Status
    status = next((status for status, pattern in _STATUS if pattern.search(words)), "error")
    return status, kind or code


def _tags(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, str]:
    listed = parsed(row, "request_tags")
    found = {
        "call_type": short(row.get("call_type")),
        "api_key": short(row.get("api_key")),
        "key_alias": short(metadata.get("user_api_key_alias")),
        "request_tags": short(",".join(map(str, listed))) if isinstance(listed, list) else None,
    }
    return {name: value for name, value in found.items() if value}


def _tier(metadata: Mapping[str, Any]) -> str | None:
    return text(mapping(metadata, "usage_object").get("service_tier"))


def _truth(row: Mapping[str, Any], name: str) -> bool | None:
    said = (text(row.get(name)) or "").lower()
    if said in ("", "none"):
        return None
    if said not in ("true", "false"):
        raise invalid(f"{name}: is {said[:60]!r}; True or False was expected")
    return said == "true"


LITELLM = Source(
    name=NAME,
    noun="LiteLLM's spend logs (LiteLLM_SpendLogs)",
    own=lambda document: document.keys() >= _KEYS,
    rows=as_rows,
    events=event,
    attributes=(*COLUMNS, "metadata.*"),
)
