from __future__ import annotations

import csv
import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import InvalidEvent
from schemas.tokens import BUCKET_NAMES, MAX_TOKENS_PER_EVENT
from schemas.usage import UsageEvent
from streams.imports.buckets import END, START, identity, split
from streams.imports.openai import cost_events, usage_counts
from tests.unit.imports.reading import SAMPLES, imported

DAY = 86_400
BEGIN = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
COMMON: dict[str, Any] = {"event_id": "x", "tags": {"bucket": "1d"}}


def sums(events: list[UsageEvent]) -> Counter[str]:
    return Counter(
        {
            name: total
            for name in BUCKET_NAMES
            if (total := sum(getattr(e, name) or 0 for e in events))
        }
    )


def result(**changes: Any) -> dict[str, Any]:
    row = {
        START: BEGIN,
        END: BEGIN + DAY,
        "input_tokens": 10,
        "output_tokens": 2,
        "model": "gpt-4o",
    }
    return {**row, **changes}


def test_openai_usage_adds_up_to_the_totals_of_each_modality():
    found = imported("openai_usage.json", "openai-usage")
    assert sums(found.events) == {
        "input_tokens": (1_234_567 - 1_000_003) + 700_001 + 77,
        "cache_read_tokens": 1_000_003 + 90_000,
        "cache_read_audio_tokens": 10_000,
        "input_audio_tokens": 60_000,
        "input_image_tokens": 40_000,
        "output_tokens": 45_678 + 9_000,
        "output_audio_tokens": 1_007,
    }
    assert (found.reasons, found.passed) == ({"no_model": 1}, {"nothing_used": 1})


def test_a_bucket_becomes_events_with_ordinary_prompts_that_share_its_calls():
    events = imported("openai_usage.json", "openai-usage").events
    text = [e for e in events if e.model == "gpt-4o-mini"]
    assert len(text) == 13
    assert max(e.input_side_tokens for e in text) <= 100_000
    assert sum(int((e.tags or {})["calls"]) for e in text) == 1000
    assert (text[0].tags or {})["part"] == "1/13"
    assert {(e.team, e.project, e.service_tier) for e in text} == {
        ("proj_search", "proj_search", "standard")
    }
    assert {e.occurred_at for e in text} == {datetime(2026, 11, 1, tzinfo=UTC)}


def test_there_are_never_more_events_than_calls():
    voice = [
        e
        for e in imported("openai_usage.json", "openai-usage").events
        if e.model == "gpt-4o-audio-preview"
    ]
    assert [(e.tags or {})["calls"] for e in voice] == ["1", "1"]
    assert {(e.service_tier, e.user) for e in voice} == {("batch", "user-ann")}


def test_anthropic_adds_up_and_long_calls_stay_long():
    found = imported("anthropic_usage.jsonl", "anthropic-usage", team="default")
    assert sums(found.events) == {
        "input_tokens": 150_001 + 1_300_000 + 50,
        "cache_read_tokens": 200_000,
        "cache_write_5m_tokens": 500,
        "cache_write_1h_tokens": 1000,
        "output_tokens": 5003 + 700 + 7,
    }
    assert [e.input_side_tokens > 200_000 for e in found.events if e.service_tier == "batch"] == [
        True
    ] * 3
    assert {e.team for e in found.events} == {"wrkspc_search", "default"}
    assert {e.service_tier for e in found.events} == {"standard", "batch", "priority"}
    assert (found.events[0].tags or {})["web_search_requests"] == "10"


def test_costs_are_money_without_tokens_to_the_last_decimal_of_the_contract():
    found = imported("openai_costs.json", "openai-costs")
    assert [e.provider_cost for e in found.events] == ["0.06123456789", "12.3", "0.0000001"]
    assert found.tally.cost == Decimal("12.36123466789")
    assert {(e.usage_source, e.model) for e in found.events} == {("missing", "unknown")}
    assert (found.events[2].tags or {})["line_item"] == "web search"
    assert found.reasons == {"invalid_field": 1, "bad_provider_cost": 1}


def test_ids_depend_on_the_bucket_and_its_groups_and_on_nothing_else():
    base = identity("openai-usage", result())
    assert identity("openai-usage", result(input_tokens=99, project_id=None)) == base
    assert identity("openai-usage", result(project_name="Search", object="x")) == base
    assert identity("openai-usage", {**result(), START: str(BEGIN), "input_tokens": "7"}) == base
    for changes in ({"project_id": "p"}, {"batch": True}, {"model": "gpt-5"}, {"new": "group"}):
        assert identity("openai-usage", result(**changes)) != base
    assert identity("openai-usage", {**result(), END: BEGIN + 3600}) != base
    assert identity("openai-costs", result()) != base


def test_the_dashboards_csv_has_the_ids_of_the_api(tmp_path: Path):
    page = json.loads((SAMPLES / "openai_usage.json").read_text())
    rows = [
        {"start_time": b["start_time"], "end_time": b["end_time"], "project_name": "x", **r}
        for b in page["data"]
        for r in b["results"] or [{}]
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (tmp_path / "usage.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    from_csv = imported(tmp_path / "usage.csv", "openai-usage")
    assert from_csv.events == imported("openai_usage.json", "openai-usage").events


def test_a_bucket_that_was_not_over_is_left_for_later(tmp_path: Path):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    bucket = {
        "start_time": int(tomorrow.timestamp()) - DAY,
        "end_time": int(tomorrow.timestamp()),
        "results": [{"input_tokens": 1, "output_tokens": 1, "model": "gpt-4o", "project_id": "p"}],
    }
    growing = tmp_path / "growing.json"
    growing.write_text(json.dumps({"data": [bucket]}))
    assert imported(growing, "openai-usage").passed == {"not_over": 1}


def test_an_export_is_as_old_as_its_file(tmp_path: Path):
    old = tmp_path / "old.json"
    old.write_bytes((SAMPLES / "openai_usage.json").read_bytes())
    os.utime(old, (BEGIN + DAY / 2, BEGIN + DAY / 2))
    found = imported(old, "openai-usage")
    assert found.events == []
    assert found.passed == {"not_over": 5}


@pytest.mark.parametrize(
    ("counts", "calls", "long", "number"),
    [
        ({"output_tokens": 5}, None, False, 1),
        ({"input_tokens": 99_990}, None, False, 1),
        ({"input_tokens": 99_991}, None, False, 2),
        ({"input_tokens": 10**9}, 3, False, 3),
        ({"input_tokens": 3 * 10**9}, 2, False, 4),
        ({"input_tokens": 900_000}, None, True, 2),
        ({"output_tokens": 2 * MAX_TOKENS_PER_EVENT}, None, False, 3),
    ],
)
def test_splitting_loses_nothing_and_keeps_to_the_limits(counts, calls, long, number):
    events = split(COMMON, counts, calls, long=long)
    assert len(events) == number
    assert len({e["event_id"] for e in events}) == number
    for name, total in counts.items():
        assert sum(e[name] for e in events) == total
        assert max(e[name] for e in events) <= MAX_TOKENS_PER_EVENT
    if calls:
        assert sum(int(e["tags"]["calls"]) for e in events) == calls


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"input_tokens": None, "object": "organization.usage.images.result"}, "not_tokens"),
        ({"input_cached_tokens": 11}, "negative_tokens"),
        ({"input_text_tokens": 9}, "tokens_do_not_add_up"),
    ],
)
def test_counts_that_cannot_be_are_not_read(changes, code):
    with pytest.raises(InvalidEvent) as error:
        usage_counts(result(**changes))
    assert error.value.refusal.code == code


def test_cache_writes_are_a_bucket_of_their_own():
    counts = usage_counts(result(input_cache_write_tokens=4, input_cached_tokens=3))
    assert counts == {
        "input_tokens": 3,
        "cache_read_tokens": 3,
        "cache_write_5m_tokens": 4,
        "output_tokens": 2,
    }


def test_a_cost_without_an_amount_is_not_read():
    with pytest.raises(InvalidEvent, match="no_amount"):
        cost_events(result(amount={"currency": "usd"}))
