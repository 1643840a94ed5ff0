"""Hypothesis strategies for usage events: valid ones, fields near the rules, and broken bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import strategies as st

from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS, MAX_TOKENS_PER_EVENT
from schemas.usage import Kind, ServiceTier, Status, UsageEvent, UsageSource
from schemas.wire import encode, encode_confluent, encode_json
from tests.corpus import NEWEST_SCHEMA_ID

REQUIRED_TEXTS = ("event_id", "provider", "model", "team")
OPTIONAL_TEXTS = [
    name
    for name, field in UsageEvent.model_fields.items()
    if field.annotation == UsageEvent.model_fields["region"].annotation
    and name not in {"voids", "provider_cost"}
]

texts = st.text(st.characters(codec="utf-8"), max_size=12)
names = texts.filter(lambda text: text.strip() and not text.startswith("void:"))
times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis takes naive bounds
costs = st.decimals(0, 999_999_999, places=12).map(lambda cost: f"{cost:f}")


@st.composite
def valid_events(draw: st.DrawFn) -> UsageEvent:
    fields: dict[str, Any] = {name: draw(names) for name in REQUIRED_TEXTS}
    fields |= draw(st.dictionaries(st.sampled_from(OPTIONAL_TEXTS), texts, max_size=5))
    fields["occurred_at"] = draw(times)
    if draw(st.booleans()):
        fields |= {"kind": "void", "voids": fields["event_id"]}
        fields["event_id"] = "void:" + fields["event_id"]
    most = MAX_TOKENS_PER_EVENT // len(BUCKET_NAMES)
    counts = st.integers(0, most)
    buckets = draw(st.dictionaries(st.sampled_from(BUCKET_NAMES), counts, max_size=5))
    fields |= buckets
    fields["usage_source"] = draw(st.sampled_from(["reported", "estimated"]))
    if not buckets:
        fields["usage_source"] = "missing"
    optional = {
        "total_tokens": st.just(sum(buckets.values())),
        "service_tier": st.sampled_from(get_args(ServiceTier)),
        "status": st.sampled_from(get_args(Status)),
        "attempt": st.integers(1, 2**31 - 1),
        "context_tokens": st.integers(0, 2**63 - 1),
        "prefix_tokens": st.integers(0, sum(buckets.get(name, 0) for name in INPUT_BUCKETS)),
        "latency_ms": st.integers(0, 2**63 - 1),
        "served_from_cache": st.booleans(),
        "provider_cost": costs,
        "tags": st.dictionaries(texts, texts, max_size=4),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(optional))))
    fields |= {name: draw(optional[name]) for name in sorted(chosen)}
    return UsageEvent.model_validate(fields)


LONGEST = "y" * 1024
BLANK_OR_NOT = [
    "",
    " ",
    "\u001c",
    "\u001f\t",
    "\u0085",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\u0000",
    "a ",
]
IDS = ["a", "x", "void:", "void:a", "void:void:a"]
PLAIN_COSTS = ["0", "1", "999999999.999999999999", "0.000000000001"]
ODD_COSTS = ["01", "1.", ".1", "1e3", "1E-12", "+1", "1_0", " 1", "1\n", "١", "0E+999999999", "00"]
BAD_COSTS = ["-0", "1e-13", "-1", "NaN", "sNaN", "Infinity", "1000000000", "", "$1", "1,5", "0x1"]
BOUNDS_OF_TIME = [0, 946_684_800_000_000, 4_102_444_800_000_000, 253_402_300_800_000_000]

edge_texts = st.sampled_from([*BLANK_OR_NOT, *IDS, LONGEST, LONGEST + "y"])
edge_costs = st.sampled_from([*PLAIN_COSTS, *ODD_COSTS, *BAD_COSTS])
edge_costs |= st.text("0123456789.eE+-_ ", max_size=6)
edge_counts = st.sampled_from([-(2**63), -1, 0, 1, 10**9 - 1, 10**9, 10**9 + 1, 2**63 - 1])
edge_times = st.sampled_from(
    [-(2**63), 2**63 - 1, *(bound + by for bound in BOUNDS_OF_TIME for by in (-1, 0))]
)


@st.composite
def fields_near_the_rules(draw: st.DrawFn) -> dict[str, Any]:
    """A valid event's fields, some of them moved onto or over the edge of a rule."""
    event = draw(valid_events())
    edges: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(REQUIRED_TEXTS, edge_texts),
        **dict.fromkeys(("voids", "team", "user"), st.none() | edge_texts),
        **dict.fromkeys(
            (*BUCKET_NAMES, "total_tokens", "context_tokens", "prefix_tokens", "latency_ms"),
            st.none() | edge_counts,
        ),
        "team": edge_texts,
        "kind": st.sampled_from(get_args(Kind)),
        "usage_source": st.sampled_from(get_args(UsageSource)),
        "attempt": st.none() | st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1]),
        "provider_cost": st.none() | edge_costs,
        "occurred_at": edge_times,
        "tags": st.none() | st.dictionaries(edge_texts, edge_texts, max_size=2),
    }
    moved = draw(st.sets(st.sampled_from(sorted(edges)), min_size=1, max_size=4))
    return event.model_dump() | {name: draw(edges[name]) for name in sorted(moved)}


def framed(event: UsageEvent) -> list[bytes]:
    """The event in each framing."""
    return [encode(event), encode_confluent(event, NEWEST_SCHEMA_ID), encode_json(event)]


@st.composite
def broken_bytes(draw: st.DrawFn, sources: st.SearchStrategy[bytes]) -> bytes:
    """A valid value after one to three mutations; now and then it is still valid."""
    value = draw(sources)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(value) - 1, 0)))
        match draw(st.sampled_from(["flip", "set", "insert", "delete", "truncate", "splice"])):
            case "flip" if value:
                flipped = value[at] ^ 1 << draw(st.integers(0, 7))
                value = value[:at] + bytes([flipped]) + value[at + 1 :]
            case "set" if value:
                byte = draw(st.sampled_from(b"\x00\x01\x02\x03\x7f\x80\xff"))
                value = value[:at] + bytes([byte]) + value[at + 1 :]
            case "insert":
                value = value[:at] + draw(st.binary(min_size=1, max_size=10)) + value[at:]
            case "delete":
                value = value[:at] + value[at + draw(st.integers(1, 8)) :]
            case "truncate":
                value = value[:at]
            case "splice":
                other = draw(sources)
                value = value[:at] + other[draw(st.integers(0, len(other))) :]
    return value
