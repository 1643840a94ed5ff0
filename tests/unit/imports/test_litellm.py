from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from schemas.errors import InvalidEvent
from streams.imports.litellm import event
from streams.imports.values import from_json
from tests.unit.imports.reading import SAMPLES, imported

FILE = "litellm.csv"
READ = ("chatcmpl-oa1", "chatcmpl-an1", "chatcmpl-hit1_cache_hit1762074125.5", "chatcmpl-fail1")
TIME = {"startTime": "2026-11-02 09:00:00", "endTime": "2026-11-02 09:00:01.5"}


def row(**changes: object) -> dict[str, object]:
    return {"request_id": "r", "model": "gpt-4o", "custom_llm_provider": "openai", **TIME} | changes


def test_every_readable_row_is_one_event_under_its_own_id():
    found = imported(FILE, "litellm")
    assert [e.event_id for e in found.events] == [f"litellm:{name}" for name in READ]
    assert found.reasons == {"no_team": 1, "invalid_field": 1}
    assert found.keys == [b"search", b"t-2", b"search", b"search"]


def test_tokens_and_money_add_up_to_those_of_the_table():
    found = imported(FILE, "litellm")
    with (SAMPLES / FILE).open() as file:
        rows = [r for r in csv.DictReader(file) if r["request_id"] in READ]
    assert found.tally.tokens == sum(int(r["total_tokens"]) for r in rows)
    spent = sum(Decimal(r["spend"]).quantize(Decimal("1e-12")) for r in rows)
    assert found.tally.cost == spent == Decimal("0.002498")
    assert sum(Decimal(e.provider_cost or "0") for e in found.events) == spent


def test_cached_and_reasoned_tokens_are_taken_out_of_the_columns():
    openai, anthropic, *_ = imported(FILE, "litellm").events
    assert (openai.input_tokens, openai.cache_read_tokens) == (200, 1000)
    assert (openai.output_tokens, openai.reasoning_tokens) == (100, 200)
    assert (anthropic.input_tokens, anthropic.cache_read_tokens) == (50, 2000)
    assert (anthropic.cache_write_5m_tokens, anthropic.cache_write_1h_tokens) == (200, 100)
    assert anthropic.model == "claude-sonnet-4-5"


def test_attribution_times_and_names_come_from_the_row():
    found = imported(FILE, "litellm").events[0]
    assert (found.team, found.user, found.customer) == ("search", "ann", "acme")
    assert found.occurred_at == datetime(2026, 11, 2, 9, 0, 1, 620_000, UTC)
    assert found.latency_ms == 1500
    assert found.requested_model == "small"
    assert found.tags is not None
    assert found.tags["request_tags"] == "nightly,eu"
    assert found.tags["key_alias"] == "search-prod"


def test_a_cache_hit_and_a_failure_are_told_apart_from_paid_calls():
    *_, hit, failed = imported(FILE, "litellm").events
    assert (hit.served_from_cache, hit.usage_source) == (True, "reported")
    assert (failed.status, failed.error_code) == ("rate_limited", "RateLimitError")
    assert (failed.usage_source, failed.input_tokens) == ("missing", None)


def test_a_count_of_written_tokens_beside_the_prompt_is_not_taken_out_of_it():
    usage = {"prompt_tokens_details": {"cached_tokens": 0}, "cache_creation_input_tokens": 1253}
    (found,) = event(
        row(
            prompt_tokens=31,
            completion_tokens=467,
            total_tokens=498,
            metadata=json.dumps({"usage_object": usage}),
        )
    )
    assert (found["input_tokens"], found["cache_write_5m_tokens"]) == (31, 1253)


def test_spend_keeps_every_digit_that_the_contract_has():
    spend = from_json('{"spend": 1.234567890123456789e-2}')["spend"]
    (found,) = event(row(spend=spend))
    assert found["provider_cost"] == "0.012345678901"


@pytest.mark.parametrize(
    ("said", "model", "provider"),
    [
        ("vertex_ai", "gemini-2.5-pro", "gcp.vertex_ai"),
        ("azure", "azure/gpt-4o", "azure.ai.openai"),
        (None, "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws.bedrock"),
        (None, "claude-sonnet-4-5", "anthropic"),
        (None, "nobody-has-this", "unknown"),
    ],
)
def test_the_provider_is_who_bills(said, model, provider):
    (found,) = event(row(custom_llm_provider=said, model=model))
    assert found["provider"] == provider
    assert "/" not in found["model"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request_id": ""}, "no_id"),
        ({"model": None}, "no_model"),
        ({"startTime": None, "endTime": None}, "no_time"),
        ({"endTime": "yesterday"}, "invalid_field"),
        ({"metadata": "{"}, "invalid_field"),
        ({"metadata": "[1]"}, "invalid_field"),
        ({"prompt_tokens": "1.5"}, "invalid_field"),
        ({"prompt_tokens": "1e999999999"}, "invalid_field"),
        ({"prompt_tokens": -1}, "negative_tokens"),
        ({"spend": "NaN"}, "invalid_field"),
        ({"spend": 1.5}, "invalid_field"),
        ({"cache_hit": "perhaps"}, "invalid_field"),
    ],
)
def test_what_cannot_be_read_says_which_field(changes, code):
    with pytest.raises(InvalidEvent) as error:
        event(row(**changes))
    assert error.value.refusal.code == code
