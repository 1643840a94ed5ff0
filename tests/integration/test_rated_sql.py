"""Rating in SQL against `rate`: the same cost, rating and reference for every event."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.batch import INDEX
from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS
from sinks.archive import Archive
from sinks.clickhouse import ClickHouse
from streams.landing.archive import archive_rows
from streams.rating.pricebook import PriceBook
from streams.rating.rate import PRICE_KEY, rate
from streams.repricing.prices import record_prices
from streams.repricing.rated_sql import AMOUNTS, rated
from tests.support.frames import usage_frame

pytestmark = pytest.mark.slow

OWN = """
prices:
  - provider: own
    model: tiered
    effective_from: 2025-06-01T06:30Z
    usd_per_million_tokens: {input: 1.000000000001, output: 0.3}
    tiers:
      - above_input_tokens: 1000
        usd_per_million_tokens: {input: 0.333333333333}
      - above_input_tokens: 2000
        usd_per_million_tokens: {input: 0.5, cache_read: 0.000000000005}
    usd_per_call: 0.000000000001
  - provider: own
    model: tiered
    region: eu
    effective_from: 2026-01-01
    usd_per_million_tokens: {output: 7}
  - provider: own
    model: tiered
    service_tier: batch
    effective_from: 2026-01-01
    usd_per_million_tokens: {input: 0.0000005, output: 0.0000015}
  - provider: own
    model: calls
    effective_from: 2150-01-01
    usd_per_call: 1
"""
MODELS = [
    *[("own", "tiered")] * 6,
    *(("own", "calls"), ("nobody", "nothing")),
    *(("openai", "gpt-4o"), ("openai", "gpt-4o-audio-preview"), ("openai", "gpt-5")),
    *(("anthropic", "claude-sonnet-4-5"), ("google", "gemini-2.5-pro")),
    *(("deepseek", "deepseek-chat"), ("deepseek", "deepseek-reasoner")),
    *(("Azure", "gpt-4o"), ("x-ai", "grok-4"), ("perplexity", "sonar-pro")),
]
EDGES = (0, 1, 999, 1000, 1001, 2000, 2001, 128_000, 200_000, 200_001, 10**6)
EVENTS = 4000


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> PriceBook:
    file: Path = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text(OWN)
    return PriceBook.load(file)


def random_event(rng: random.Random, number: int, models: list[tuple[str, str]]) -> dict[str, Any]:
    provider, model = rng.choice(models)
    event: dict[str, Any] = {
        "event_id": f"e{number}",
        "provider": provider,
        "model": model,
        "occurred_at": datetime(2024, 1, 1, tzinfo=UTC)
        + timedelta(minutes=rng.randrange(3 * 365 * 1440), microseconds=rng.randrange(60_000_000)),
        "service_tier": rng.choice((None, None, "standard", "batch", "flex", "priority")),
        "region": rng.choice((None, None, "EU", "us")),
        "served_from_cache": rng.choice((None, None, False, rng.random() < 0.3)),
        "usage_source": "reported",
    }
    if rng.random() < 0.1:
        event["usage_source"] = "missing"
    else:
        names = rng.sample(BUCKET_NAMES, rng.randint(0, 3))
        event |= {name: rng.choice((0, rng.randrange(5000), 10**8)) for name in names}
        event[rng.choice(INPUT_BUCKETS[:2])] = rng.choice(EDGES)
        event["output_tokens"] = rng.randrange(3000)
    if rng.random() < 0.2:
        event |= {"kind": "void", "voids": event["event_id"], "event_id": f"void:e{number}"}
    return event


def archived(clickhouse: ClickHouse, book: PriceBook, events: list[dict[str, Any]]) -> pl.DataFrame:
    """Archive these events, record their prices; the events as `rate` rates them."""
    frame = rate(usage_frame(events), book)
    located = frame.with_row_index(INDEX).with_columns(
        pl.lit(0, dtype=pl.Int32).alias("partition"),
        pl.int_range(pl.len(), dtype=pl.Int64).alias("offset"),
    )
    archive = Archive(clickhouse, "cluster/llm.usage")
    archive.write(archive_rows(located), [], archive.register_source())
    record_prices(clickhouse, book, frame.select(PRICE_KEY).unique().iter_rows())
    return frame


def test_every_event_is_rated_as_in_columns_and_its_parts_add_up(clickhouse, book):
    rng = random.Random(20261124)
    listed = [(p.id, m.id) for p in book.list_prices.providers for m in p.models]
    models = MODELS * 10 + rng.sample(listed, 150)
    events = [random_event(rng, number, models) for number in range(EVENTS)]
    frame = archived(clickhouse, book, events)
    rows = clickhouse.query(
        f"SELECT event_id, new_cost_pico, new_rating, new_price_ref, denominator, "
        f"{', '.join(AMOUNTS)} FROM ({rated('SELECT * FROM usage_events FINAL')})",
        {"book": book.version},
    )
    found = {row[0]: row[1:4] for row in rows}
    columns = frame.select("event_id", "cost_pico", "rating", "price_ref")
    expected = {row[0]: row[1:] for row in columns.iter_rows()}
    assert len(rows) == EVENTS
    wrong = {name: (found[name], want) for name, want in expected.items() if found[name] != want}
    assert wrong == {}
    for _, cost, _, _, denominator, *amounts in rows:
        if cost is None:
            assert set(amounts) == {None}
        else:
            assert round(Decimal(sum(amounts)) / denominator) == cost
    ratings = frame["rating"].to_list()
    for rating in ("priced", "unpriced", "no_usage"):
        assert ratings.count(rating) > EVENTS / 50
    refs = set(frame["price_ref"].drop_nulls())
    assert any("batch" in ref for ref in refs)
    assert any("UTC" in ref for ref in refs)
    assert any(row[4] > 1 for row in rows)


def test_an_event_of_a_key_without_lines_is_unpriced(clickhouse, book):
    archived(clickhouse, book, [{"input_tokens": 5}])
    rows = clickhouse.query(
        "SELECT new_cost_pico, new_rating, price_line "
        f"FROM ({rated('SELECT * FROM usage_events FINAL')})",
        {"book": "another"},
    )
    assert rows == [(None, "unpriced", 0)]


def test_prices_are_recorded_once_and_shown_exactly(clickhouse, book):
    keys = [("own", "tiered", None, None), ("own", "calls", None, None)]
    assert record_prices(clickhouse, book, keys) == 5
    assert record_prices(clickhouse, book, keys) == 0
    assert record_prices(clickhouse, book, [*keys, ("own", "tiered", None, "eu")]) > 0
    rows = clickhouse.query(
        "SELECT valid_from, valid_until, above_input_tokens, upto_input_tokens, input_usd, "
        "cache_read_usd, usd_per_call FROM price_history WHERE region IS NULL "
        "ORDER BY above_input_tokens NULLS FIRST"
    )
    start = datetime(2025, 6, 1, 6, 30, tzinfo=UTC)
    usd, call = Decimal("1.000000000001"), Decimal("0.000000000001")
    assert [(a and a.replace(tzinfo=UTC), *rest) for a, *rest in rows] == [
        (start, None, None, 1000, usd, usd, call),
        (start, None, 1000, 2000, Decimal("0.333333333333"), Decimal("0.333333333333"), call),
        (start, None, 2000, None, Decimal("0.5"), Decimal("0.000000000005"), call),
    ]
