from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.errors import InvalidEvent
from streams.imports.langfuse import disjoint, event
from streams.imports.values import as_json, from_json
from tests.unit.imports.reading import SAMPLES, imported

FILE = "langfuse.jsonl"
READ = ("gen-1", "gen-2", "emb-1")


def test_generations_and_embeddings_are_calls_and_nothing_else_is():
    found = imported(FILE, "langfuse")
    assert [e.event_id for e in found.events] == [f"langfuse:{name}" for name in READ]
    assert found.passed == {"no_call": 1}
    assert found.reasons == {"unreadable": 1, "tokens_do_not_add_up": 1, "no_team": 1}
    assert [r["line"] for r in found.rejects] == [4, 6, 7]
    assert found.rejects[0]["original"].startswith('{"id": "gen-cut"')
    assert found.rejects[1]["original"]["id"] == "gen-3"


def test_tokens_and_money_add_up_to_the_totals():
    found = imported(FILE, "langfuse")
    assert found.tally.tokens == 1500 + 1500 + 42
    assert found.tally.cost == Decimal("0.0001525") + Decimal("0.0075")


def test_usage_is_disjoint_unless_the_total_says_that_it_is_not():
    apart, including, embedding = imported(FILE, "langfuse").events
    assert (apart.input_tokens, apart.cache_read_tokens) == (200, 1000)
    assert (apart.output_tokens, apart.reasoning_tokens) == (100, 200)
    assert (including.input_tokens, including.cache_read_tokens) == (200, 1000)
    assert embedding.input_tokens == 42


def test_names_come_from_the_observation():
    first, second, third = imported(FILE, "langfuse").events
    assert (first.team, first.user, first.workflow) == ("search", "ann", "s-1")
    assert (first.environment, first.latency_ms) == ("production", 2500)
    assert [e.provider for e in (first, second, third)] == ["openai", "anthropic", "openai"]
    assert (second.status, third.model) == ("error", "text-embedding-3-small")


def test_csv_with_the_other_spelling_gives_the_same_events(tmp_path: Path):
    lines = (SAMPLES / FILE).read_text().splitlines()
    rows = [from_json(line) for line in lines if line.endswith("}")]
    other = {"usageDetails": "usage_details", "costDetails": "cost_details", "traceId": "trace_id"}
    for name in ("startTime", "endTime", "userId", "sessionId"):
        other[name] = f"{name[:-2] if name.endswith('Id') else name[:-4]}".lower()
        other[name] += "_id" if name.endswith("Id") else "_time"
    cells = [
        {
            other.get(name, name): as_json(value) if isinstance(value, dict) else value
            for name, value in row.items()
        }
        for row in rows
    ]
    with (tmp_path / "observations.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(n for row in cells for n in row)))
        writer.writeheader()
        writer.writerows(cells)
    found = imported(tmp_path / "observations.csv", "langfuse")
    assert found.events == imported(FILE, "langfuse").events


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, {}),
        ({"input": 0, "output": 0, "total": 0}, {}),
        ({"input": 3, "output": 4}, {"input_tokens": 3, "output_tokens": 4}),
        ({"input": 3, "input_tool_use": 2}, {"input_tokens": 5}),
        (
            {"input": 10, "output": 9, "output_reasoning": 4, "total": 19},
            {"input_tokens": 10, "output_tokens": 5, "reasoning_tokens": 4, "total_tokens": 19},
        ),
    ],
)
def test_keys_of_the_usage_become_buckets(usage, expected):
    assert disjoint(usage) == expected


def test_a_total_alone_has_no_price():
    with pytest.raises(InvalidEvent, match="tokens_without_side"):
        disjoint({"total": 5})


def test_the_fields_of_the_older_api_are_read():
    (found,) = event(
        {
            **{"id": "o", "traceId": "t", "type": "GENERATION", "model": "gpt-4o"},
            **{"startTime": "2026-11-02T10:00:00Z", "promptTokens": 7, "completionTokens": 2},
            **{"totalTokens": 9, "calculatedTotalCost": from_json("0.25")},
        }
    )
    assert (found["input_tokens"], found["output_tokens"], found["provider_cost"]) == (7, 2, "0.25")
