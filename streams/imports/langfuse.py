"""Observations of Langfuse: its exports (UI, blob storage) and its API, in CSV, JSON and JSONL.

The same field is `usageDetails` in one and `usage_details` in another. Only generations and
embeddings are calls. The keys of the usage are free; Langfuse prices each on its own, so they are
disjoint unless the total says that `input` and `output` include the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from schemas.errors import InvalidEvent
from schemas.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from streams.imports.source import Fields, Passed, Source, as_rows
from streams.imports.values import (
    at_path,
    instant,
    latency_ms,
    mapping,
    missing,
    money,
    parsed,
    provider_name,
    short,
    text,
    whole,
)

NAME = "langfuse"
CALLS = frozenset({"GENERATION", "EMBEDDING"})
_SPELLINGS = {
    "trace_id": ("traceId",),
    "start_time": ("startTime",),
    "end_time": ("endTime",),
    "model": ("providedModelName", "provided_model_name", "model_id", "internalModel"),
    "usage_details": ("usageDetails",),
    "cost_details": ("costDetails",),
    "total_cost": ("totalCost", "calculatedTotalCost", "calculated_total_cost"),
    "user_id": ("userId",),
    "session_id": ("sessionId",),
    "trace_name": ("traceName",),
    "status_message": ("statusMessage",),
    "input_usage": ("inputUsage", "promptTokens", "prompt_tokens"),
    "output_usage": ("outputUsage", "completionTokens", "completion_tokens"),
    "total_usage": ("totalUsage", "totalTokens", "total_tokens"),
}
"""Our name of a field, and how else it is written; the first that is filled counts."""
_PROVIDER = (
    *("metadata.provider", "metadata.ls_provider", "metadata.attributes.gen_ai.provider.name"),
    *("metadata.attributes.gen_ai.system", "metadata.custom_llm_provider"),
)
_BUCKETS = {
    "input": "input_tokens",
    "prompt_tokens": "input_tokens",
    "input_tokens": "input_tokens",
    "input_cached_tokens": "cache_read_tokens",
    "input_cache_read": "cache_read_tokens",
    "input_cached": "cache_read_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cached_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_5m_tokens",
    "input_cache_creation": "cache_write_5m_tokens",
    "input_cache_creation_5m": "cache_write_5m_tokens",
    "input_cache_creation_1h": "cache_write_1h_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "input_audio": "input_audio_tokens",
    "input_image_tokens": "input_image_tokens",
    "output": "output_tokens",
    "completion_tokens": "output_tokens",
    "output_tokens": "output_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "output_reasoning": "reasoning_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "output_audio": "output_audio_tokens",
}
"""Keys of the usage that Langfuse and its integrations write → buckets of the event."""
_SIDES = ((INPUT_BUCKETS, "input_tokens"), (OUTPUT_BUCKETS, "output_tokens"))


def _own(document: Mapping[str, Any]) -> bool:
    return document.keys() >= {"id", "type"} and bool(document.keys() & {"traceId", "trace_id"})


def event(row: Mapping[str, Any]) -> list[Fields]:
    """The event of one observation. Raises InvalidEvent and Passed."""
    kind = (text(row.get("type")) or "").upper()
    if kind not in CALLS:
        raise Passed("no_call", f"a {kind or 'nameless'} observation is no call of a model")
    own = text(row.get("id"))
    if own is None:
        raise missing("id", "id: is not there; it is what tells an observation from another")
    row = _spelled(row)
    model = text(row.get("model"))
    if model is None:
        raise missing("model", "model: is not there")
    started, ended = instant(row, "start_time"), instant(row, "end_time")
    if started is None and ended is None:
        raise missing("time", "end_time: is not there")
    usage = _usage(row)
    if kind == "EMBEDDING" and "total" in usage:
        usage.setdefault("input", usage["total"])
    tokens = disjoint(usage)
    said = next((found for path in _PROVIDER if (found := text(at_path(row, path)))), None)
    failed = (text(row.get("level")) or "").upper() == "ERROR"
    return [
        {
            "event_id": f"{NAME}:{own}",
            "occurred_at": ended or started,
            "provider": provider_name(said, model),
            "model": model.rpartition("/")[2] if said is None else model.removeprefix(f"{said}/"),
            "team": text(at_path(row, "metadata.team")),
            "environment": text(row.get("environment")),
            "user": text(row.get("user_id")),
            "workflow": text(row.get("session_id")),
            "status": "error" if failed else None,
            "usage_source": "reported" if tokens else "missing",
            **tokens,
            "provider_cost": _cost(row),
            "latency_ms": latency_ms(started, ended),
            "tags": _tags(row),
        }
    ]


def _spelled(row: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(row)
    for ours, others in _SPELLINGS.items():
        found[ours] = next((row[n] for n in (ours, *others) if row.get(n) not in (None, "")), None)
    return found


def _usage(row: Mapping[str, Any]) -> dict[str, int]:
    details: Mapping[str, Any] = mapping(row, "usage_details")
    if not details:
        details = {
            key: value
            for key, value in mapping(row, "usage").items()
            if key in ("input", "output", "total")
        }
    if not details:
        names = {"input": "input_usage", "output": "output_usage", "total": "total_usage"}
        details = {key: row.get(name) for key, name in names.items()}
    return {key: count for key in details if (count := whole(details, key)) is not None}


def disjoint(details: Mapping[str, int]) -> dict[str, int]:
    """Buckets of the event by the keys of Langfuse's usage; empty where nothing was used.

    Raises InvalidEvent where no reading adds up to the total.
    """
    counts: dict[str, int] = {}
    for key, count in details.items():
        if bucket := _bucket(key):
            counts[bucket] = counts.get(bucket, 0) + count
    total = details.get("total", details.get("total_tokens"))
    if not any(counts.values()):
        if total:
            raise InvalidEvent(
                "tokens_without_side",
                f"only a total of {total} tokens is there; prompt and answer differ in price",
            )
        return {}
    if total is None:
        return counts
    for reading in _readings(counts):
        if sum(reading.values()) == total:
            return {**reading, "total_tokens": total}
    raise InvalidEvent(
        "tokens_do_not_add_up", f"usage adds up to {sum(counts.values())}, its total is {total}"
    )


def _bucket(key: str) -> str | None:
    if bucket := _BUCKETS.get(key):
        return bucket
    if key.startswith("total"):
        return None
    if key.startswith("input"):
        return "input_tokens"
    return "output_tokens" if key.startswith("output") else None


def _readings(counts: Mapping[str, int]) -> list[dict[str, int]]:
    """As they are; then with one side, or both, including its parts."""
    readings = [dict(counts)]
    for buckets, whole_side in _SIDES:
        parts = sum(counts.get(name, 0) for name in buckets if name != whole_side)
        rest = counts.get(whole_side, 0) - parts
        if parts and rest >= 0:
            readings += [{**reading, whole_side: rest} for reading in readings]
    return readings


def _cost(row: Mapping[str, Any]) -> str | None:
    details = mapping(row, "cost_details")
    if "total" in details:
        return money(details, "total")
    parts = [money(details, key) for key in details]
    if parts:
        return f"{sum(Decimal(part) for part in parts if part is not None):f}"
    return money(row, "total_cost")


def _tags(row: Mapping[str, Any]) -> dict[str, str]:
    listed = parsed(row, "tags")
    found = {
        "trace_id": short(row.get("trace_id")),
        "trace_name": short(row.get("trace_name")),
        "name": short(row.get("name")),
        "trace_tags": short(",".join(map(str, listed))) if isinstance(listed, list) else None,
    }
    return {name: value for name, value in found.items() if value}


LANGFUSE = Source(
    name=NAME,
    noun="Langfuse's observations",
    own=_own,
    rows=as_rows,
    events=event,
    attributes=(
        *("metadata.*", "userId", "user_id", "sessionId", "session_id", "environment", "name"),
        *("traceName", "trace_name", "release", "version", "projectId", "project_id"),
    ),
)
