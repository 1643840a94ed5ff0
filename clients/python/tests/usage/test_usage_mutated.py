"""Whatever becomes of a body: nothing raises, no token is invented, no total is wrong."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from spendstream.usage import StreamReader
from usage_bodies import CASES, STREAMED, WHOLE, Case, fields_of

from schemas.tokens import BUCKET_NAMES
from schemas.usage import UsageEvent

ODD_VALUES = st.one_of(
    st.sampled_from([None, True, False, "", "12", "TEXT", b"x", {}, [], [None], [[]], {"a": {}}]),
    st.sampled_from([0, -1, 10**9, 10**30, 1.0, 0.5, -0.0, math.inf, math.nan, "\ud800"]),
    st.integers(-5, 3000),
    st.just("x" * 2000),
)
Path = tuple[Any, ...]


def paths(value: object, at: Path = ()) -> Iterator[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for key, inner in items:
        yield (*at, key)
        if isinstance(inner, dict | list):
            yield from paths(inner, (*at, key))


@st.composite
def mutated(draw: st.DrawFn, names: list[str]) -> Case:
    case = copy.deepcopy(CASES[draw(st.sampled_from(names))])
    root = case.get("body", case.get("events"))
    for _ in range(draw(st.integers(1, 4))):
        known = list(paths(root))
        counts = [p for p in known if "usage" in str(p) or "Token" in str(p)]
        path = draw(st.sampled_from(counts if counts and draw(st.booleans()) else known or [()]))
        if not path:
            break
        inner = root
        for key in path[:-1]:
            inner = inner[key]
        how = draw(st.sampled_from(["drop", "replace", "nest", "negate", "move"]))
        old = inner[path[-1]]
        if how == "drop":
            del inner[path[-1]]
        elif how == "nest":
            inner[path[-1]] = draw(st.sampled_from([{"value": old}, [old], {path[-1]: old}]))
        elif how == "negate" and isinstance(old, int | float):
            inner[path[-1]] = -old
        elif how == "move" and isinstance(inner, dict):
            inner[draw(st.sampled_from(["prompt_tokens", "input_tokens", "usage", "data"]))] = old
        else:
            inner[path[-1]] = copy.deepcopy(draw(ODD_VALUES))
    return case


def whole_numbers(value: object) -> Iterator[int]:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
        elif isinstance(found, float) and found.is_integer():
            yield abs(int(found))
        elif isinstance(found, int):
            yield abs(found)


def assert_honest(fields: dict[str, Any]) -> None:
    buckets = {name: fields[name] for name in BUCKET_NAMES if name in fields}
    if "total_tokens" in fields:
        assert fields["total_tokens"] == sum(buckets.values())
    event = {"event_id": "e1", "occurred_at": datetime(2026, 11, 1, tzinfo=UTC), "team": "t"}
    UsageEvent.model_validate(event | {"model": "m"} | fields)


@settings(max_examples=150, deadline=None)
@given(case=mutated(list(WHOLE)))
def test_a_mutated_body_never_raises_nor_invents_tokens(case):
    fields = fields_of(case)
    assert_honest(fields)
    held = {name: fields[name] for name in BUCKET_NAMES if name in fields}
    headers = [int(v) for v in case.get("headers", {}).values() if v.isdigit()]
    known = sum(whole_numbers(case["body"])) + sum(headers)
    assert all(0 <= tokens <= known for tokens in held.values())


@settings(max_examples=120, deadline=None)
@given(
    case=mutated(list(STREAMED)),
    complete=st.booleans(),
    cut=st.integers(0, 8),
)
def test_a_mutated_stream_never_raises_nor_makes_a_bad_event(case, complete, cut):
    reader = StreamReader(case["provider"], case.get("request"))
    for event in case["events"][:cut]:
        if isinstance(event, dict):
            reader.feed(event.get("data"), event=event.get("event"))
    fields = dict(reader.usage(complete=complete))
    assert_honest(fields)
    if fields["usage_source"] == "reported":
        known = sum(whole_numbers(case["events"])) + 28  # in the base64 of Bedrock's events
        assert all(fields[name] <= known for name in BUCKET_NAMES if name in fields)
