"""Anthropic's usage report: `GET /v1/organizations/usage_report/messages`, pages of buckets.

Its counts are disjoint as they are. It does not say how many calls they come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.imports.buckets import bucket_of, identity, results, split, tags
from streams.imports.source import Fields, Passed, Source
from streams.imports.values import mapping, missing, service_tier, text, whole

NAME = "anthropic-usage"
_COUNTS = {
    "uncached_input_tokens": "input_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "output_tokens": "output_tokens",
}
_WRITES = {
    "ephemeral_5m_input_tokens": "cache_write_5m_tokens",
    "ephemeral_1h_input_tokens": "cache_write_1h_tokens",
}
LONG_CONTEXT = "200k-1M"


def _rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return results(document, "starting_at", "ending_at")


def _own(document: Mapping[str, Any]) -> bool:
    return any("uncached_input_tokens" in row for row in _rows(document))


def _empty(document: Mapping[str, Any]) -> bool:
    bucket = "starting_at" in document or isinstance(document.get("data"), list)
    return bucket and next(_rows(document), None) is None


def events(row: Mapping[str, Any]) -> list[Fields]:
    """Events of one result. Raises InvalidEvent and Passed."""
    start, _ = bucket_of(row)
    writes = mapping(row, "cache_creation")
    found = {ours: whole(row, theirs) for theirs, ours in _COUNTS.items()}
    found |= {ours: whole(writes, theirs) for theirs, ours in _WRITES.items()}
    counts = {name: count for name, count in found.items() if count is not None}
    searches = whole(mapping(row, "server_tool_use"), "web_search_requests")
    if not any(counts.values()):
        raise Passed("nothing_used", "no tokens in this bucket")
    model = text(row.get("model"))
    if model is None:
        raise missing("model", "model: is not there; export with group_by[]=model")
    said = tags(row, "api_key_id", "context_window", "inference_geo", "speed")
    if searches:
        said["web_search_requests"] = str(searches)
    common = {
        "event_id": identity(NAME, row),
        "occurred_at": start,
        "provider": "anthropic",
        "model": model,
        "project": text(row.get("workspace_id")),
        "user": text(row.get("account_id")),
        "service_tier": service_tier(text(row.get("service_tier")), said),
        "usage_source": "reported",
        "tags": said,
    }
    return split(common, counts, None, long=row.get("context_window") == LONG_CONTEXT)


ANTHROPIC_USAGE = Source(
    name=NAME,
    noun="Anthropic's usage report (/v1/organizations/usage_report/messages)",
    own=_own,
    rows=_rows,
    events=events,
    attributes=(
        *("workspace_id", "api_key_id", "account_id", "service_account_id", "model"),
        *("service_tier", "context_window", "inference_geo", "speed"),
    ),
    start=_empty,
)
