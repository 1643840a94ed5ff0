"""What the events of the corpus hold, valid and broken, before they are bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.tokens import BUCKET_NAMES

Fields = dict[str, Any]

MINIMAL: Fields = {
    "event_id": "evt-minimal",
    "occurred_at": "2026-11-01T12:00:00Z",
    "kind": "usage",
    "provider": "openai",
    "model": "gpt-5",
    "team": "search",
    "usage_source": "reported",
    "input_tokens": 1200,
    "output_tokens": 0,
}
MAXIMAL: Fields = {
    "event_id": "evt-maximal",
    "occurred_at": "2026-11-01T12:00:00.123456Z",
    "kind": "usage",
    "provider": "aws.bedrock",
    "model": "claude-sonnet-4-5",
    "requested_model": "claude-sonnet",
    "region": "eu-central-1",
    "service_tier": "priority",
    "department": "product",
    "team": "search",
    "project": "answers",
    "use_case": "summaries",
    "application": "answer-service",
    "environment": "production",
    "user": "u-17",
    "customer": "c-4",
    "workflow": "run-9",
    "request_id": "req_01",
    "attempt": 2,
    "retry_of": "evt-maximal-1",
    "status": "rate_limited",
    "error_code": "429",
    "usage_source": "estimated",
    **{name: 2**place for place, name in enumerate(BUCKET_NAMES)},
    "total_tokens": 2 ** len(BUCKET_NAMES) - 1,
    "context_tokens": 180_000,
    "prompt_hash": "sha256:9f86d081",
    "served_from_cache": False,
    "routing_tier": "cost-optimised",
    "routing_reason": "short prompt",
    "shadow_of": "evt-0",
    "provider_cost": "0.00315",
    "latency_ms": 2**40,
    "tags": {"git.commit": "dd18da1", "stage": "rerank"},
}
PREFIXED: Fields = MAXIMAL | {
    "event_id": "evt-prefixed",
    "prefix_hash": "sha256:5feceb66",
    "prefix_tokens": 2**8 - 1,
}
"""What version 2 has beyond version 1: the prefix, here as long as the whole prompt."""
LONGEST = "é" * 1024
TEXTS = [name for name, value in MAXIMAL.items() if isinstance(value, str)]
FREE_TEXTS = [
    name
    for name in TEXTS
    if name
    not in {"occurred_at", "kind", "service_tier", "status", "usage_source", "provider_cost"}
]


def with_(base: Fields, **changes: Any) -> Fields:
    return {**base, **changes}


def without(base: Fields, *names: str) -> Fields:
    return {name: value for name, value in base.items() if name not in names}


def valid_events() -> Iterator[tuple[str, Fields]]:
    yield "minimal", MINIMAL
    yield "maximal", MAXIMAL
    yield (
        "unicode",
        with_(MINIMAL, team="recherche – 検索 🔍", model="модель", user="a\u0000b\u200d"),
    )
    yield "longest texts", with_(MAXIMAL, **dict.fromkeys(FREE_TEXTS, LONGEST))
    yield "one tag", with_(MINIMAL, tags={"a": "b"})
    yield "unicode tags", with_(MINIMAL, tags={"città": "Łódź", "": ""})
    yield "no tags in the map", with_(MINIMAL, tags={})
    yield "void", with_(MINIMAL, event_id="void:evt-minimal", kind="void", voids="evt-minimal")
    yield "void of a void", with_(MINIMAL, event_id="void:void:e", kind="void", voids="void:e")
    yield (
        "usage missing",
        with_(without(MINIMAL, "input_tokens", "output_tokens"), usage_source="missing"),
    )
    yield "zero tokens", with_(MINIMAL, input_tokens=0)
    yield "most tokens", with_(MINIMAL, input_tokens=10**9, total_tokens=10**9)
    yield "earliest time", with_(MINIMAL, occurred_at="2000-01-01T00:00:00Z")
    yield "latest time", with_(MINIMAL, occurred_at="2099-12-31T23:59:59.999999Z")
    yield "highest cost", with_(MINIMAL, provider_cost="999999999.999999999999")
    yield "lowest cost", with_(MINIMAL, provider_cost="0.000000000001")
    yield "highest attempt", with_(MINIMAL, attempt=2**31 - 1, latency_ms=2**63 - 1)
    yield "served from cache", with_(MINIMAL, served_from_cache=True, latency_ms=0)
    for tier in ("standard", "batch", "flex"):
        yield f"tier {tier}", with_(MINIMAL, service_tier=tier)
    for status in ("ok", "error", "timeout", "cancelled"):
        yield f"status {status}", with_(MINIMAL, status=status)
    yield "prefixed", PREFIXED
    yield "a prefix without a size", with_(MINIMAL, prefix_hash="sha256:5feceb66")
    unknown = with_(MINIMAL, input_tokens=None, prefix_tokens=2**63 - 1)
    yield "a prefix of an unknown prompt", without(unknown, "input_tokens")


VOID = with_(MINIMAL, event_id="void:e", kind="void", voids="e")


def broken_events() -> Iterator[tuple[str, Fields, str, str]]:
    """Events that both Avro and JSON can carry: name, fields, code, and part of the detail."""
    for name in ("event_id", "provider", "model", "team"):
        for blank in ("", " \t", "\u001c", "\u0085\u3000"):
            yield f"{name} {blank!r}", with_(MINIMAL, **{name: blank}), "blank_field", name
    for name in FREE_TEXTS:
        yield f"{name} too long", with_(MINIMAL, **{name: "x" * 1025}), "invalid_field", name
    for part, tags in (("key", {"x" * 1025: ""}), ("value", {"a": "x" * 1025})):
        yield f"tag {part} too long", with_(MINIMAL, tags=tags), "invalid_field", "tags"
    for time in ("1999-12-31T23:59:59.999999Z", "2100-01-01T00:00:00Z", "1970-01-21T00:00:00Z"):
        yield f"time {time}", with_(MINIMAL, occurred_at=time), "time_out_of_range", time[:10]
    for cost in (
        "-1",
        "-0",
        "NaN",
        "Infinity",
        "1e9",
        "0.0000000000001",
        "free",
        "",
        "1,5",
    ):
        yield f"cost {cost!r}", with_(MINIMAL, provider_cost=cost), "bad_provider_cost", f"'{cost}'"
    for attempt in (0, -1, -(2**31)):
        yield f"attempt {attempt}", with_(MINIMAL, attempt=attempt), "bad_attempt", str(attempt)
    long = with_(PREFIXED, prefix_hash="x" * 1025)
    yield "prefix_hash too long", long, "invalid_field", "prefix_hash"
    for tokens in (2**8, 2**63 - 1):
        prefixed = with_(PREFIXED, prefix_tokens=tokens)
        yield f"prefix of {tokens}", prefixed, "prefix_too_long", f"{tokens}, more than the prompt"
    for name in ("latency_ms", "context_tokens", "prefix_tokens"):
        yield f"{name} negative", with_(MINIMAL, **{name: -1}), "negative_value", name
    for name in BUCKET_NAMES:
        yield f"{name} negative", with_(MINIMAL, **{name: -5}), "negative_tokens", f"{name} is -5"
        yield f"{name} over", with_(MINIMAL, **{name: 10**9 + 1}), "too_many_tokens", "1000000000"
    yield (
        "sum over",
        with_(MINIMAL, input_tokens=10**9, output_tokens=1),
        "too_many_tokens",
        ("1000000001"),
    )
    wraps = with_(MINIMAL, input_tokens=2**63 - 1, output_tokens=2**63 - 1, total_tokens=-2)
    yield "sum that wraps in 64 bits", wraps, "too_many_tokens", str(2**64 - 2)
    source = with_(MINIMAL, usage_source="missing")
    yield "tokens without source", source, "tokens_without_source", "input_tokens, output_tokens"
    none = without(MINIMAL, "input_tokens", "output_tokens")
    yield "no tokens reported", none, "no_tokens", "reported"
    yield "no tokens estimated", with_(none, usage_source="estimated"), "no_tokens", "estimated"
    yield "total differs", with_(MINIMAL, total_tokens=1201), "tokens_do_not_add_up", "1201"
    yield (
        "total of nothing",
        with_(none, usage_source="missing", total_tokens=1),
        ("tokens_do_not_add_up"),
        "up to 0",
    )
    yield "voids on usage", with_(MINIMAL, voids="e"), "bad_void", "kind is usage"
    yield "usage with the id of a void", with_(MINIMAL, event_id="void:e"), "bad_void", "void:"
    yield "void without voids", without(VOID, "voids"), "bad_void", "'void:<voids>'"
    yield "void of the empty id", with_(VOID, event_id="void:", voids=""), "bad_void", "<voids>"
    yield "void of another", with_(VOID, voids="f"), "bad_void", "'void:f'"
    yield "void under its own id", with_(VOID, event_id="e"), "bad_void", "'void:e'"
