from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from genai_prices.types import Tier, TieredPrices

from schemas.tokens import MAX_TOKENS_PER_EVENT
from streams.rating.pricebook import PriceBook
from streams.rating.rate import rate
from tests.support.frames import usage_frame


def rated(book: PriceBook, *rows: dict) -> list[tuple]:
    frame = rate(usage_frame([{"provider": "acme", "model": "m"} | row for row in rows]), book)
    return frame.select("cost_pico", "rating", "price_ref").rows()


def costs(book: PriceBook, *rows: dict) -> list[int | None]:
    return [row[0] for row in rated(book, *rows)]


@pytest.fixture
def simple(book_of: Callable) -> PriceBook:
    return book_of({"input_mtok": "2", "cache_read_mtok": "0.5", "output_mtok": "8"})


def test_a_cost_is_the_sum_of_tokens_times_rates(simple: PriceBook):
    row = {"input_tokens": 10, "cache_read_tokens": 4, "output_tokens": 3, "reasoning_tokens": 2}
    cost = 10 * 2_000_000 + 4 * 500_000 + 5 * 8_000_000
    assert rated(simple, row) == [(cost, "priced", "acme-list 1 acme/m")]


def test_cache_writes_cost_by_how_long_they_are_kept(book_of: Callable):
    prices = {"input_mtok": "1", "cache_write_mtok": "1.25", "cache_write_1h_mtok": "2"}
    book = book_of(prices)
    assert costs(book, {"cache_write_5m_tokens": 8}, {"cache_write_1h_tokens": 8}) == [
        10_000_000,
        16_000_000,
    ]


def test_a_tier_starts_one_token_above_its_threshold_and_applies_to_all_tokens(book_of: Callable):
    book = book_of(
        {
            "input_mtok": TieredPrices(
                Decimal(1), [Tier(1000, Decimal(2)), Tier(2000, Decimal(3))]
            ),
            "cache_read_mtok": "0.5",
            "output_mtok": TieredPrices(
                Decimal(4), [Tier(1000, Decimal(5)), Tier(2000, Decimal(6))]
            ),
        }
    )
    rows = [
        {"input_tokens": 600, "cache_read_tokens": cached, "output_tokens": 10}
        for cached in (400, 401, 1400, 1401)
    ]
    assert costs(book, *rows) == [
        600 * 10**6 + 400 * 500_000 + 40 * 10**6,
        600 * 2 * 10**6 + 401 * 500_000 + 50 * 10**6,
        600 * 2 * 10**6 + 1400 * 500_000 + 50 * 10**6,
        600 * 3 * 10**6 + 1401 * 500_000 + 60 * 10**6,
    ]


def test_output_tokens_do_not_lift_a_call_into_a_tier(book_of: Callable):
    tiered = TieredPrices(Decimal(1), [Tier(1000, Decimal(2))])
    book = book_of({"input_mtok": tiered, "output_mtok": "1"})
    assert costs(book, {"input_tokens": 1000, "output_tokens": 5000}) == [6000 * 10**6]


def test_models_with_and_without_tiers_mix_in_a_batch(book: PriceBook):
    frame = usage_frame(
        [
            {"provider": "anthropic", "model": "claude-haiku-5-5", "input_tokens": 100_001},
            {"provider": "openai", "model": "gpt-4o", "input_tokens": 100_001},
            {"provider": "anthropic", "model": "claude-haiku-5-5", "input_tokens": 100_000},
        ]
    )
    assert rate(frame, book)["cost_pico"].to_list() == [
        100_001 * 500_000,
        100_001 * 2_500_000,
        100_000 * 100_000,
    ]


def test_a_price_per_call_is_charged_once_per_call(book_of: Callable):
    book = book_of({"input_mtok": "1", "requests_kcount": "5"})
    assert costs(book, {"input_tokens": 3}, {"input_tokens": 0}) == [5_003_000_000, 5_000_000_000]


def test_halves_are_rounded_to_even_once_per_event(book_of: Callable):
    book = book_of({"input_mtok": "0.0000005", "output_mtok": "0.0000015"})  # 0.5 and 1.5 pico
    rows = [{"input_tokens": n} for n in (1, 2, 3, 5, 7)]
    assert costs(book, *rows) == [0, 1, 2, 2, 4]
    assert costs(book, {"input_tokens": 1, "output_tokens": 1}) == [2]
    assert costs(book, {"output_tokens": 1, "input_tokens": 0}) == [2]


def test_less_and_more_than_a_half_are_rounded_to_the_nearest(book_of: Callable):
    book = book_of({"input_mtok": "0.0000001"})
    assert costs(book, *({"input_tokens": n} for n in (4, 5, 6, 14, 15, 16))) == [0, 0, 1, 1, 2, 2]


def test_a_void_takes_back_exactly_what_the_call_cost(book_of: Callable):
    book = book_of({"input_mtok": "0.0000005"})
    call = {"input_tokens": 3}
    assert costs(book, call, call | {"kind": "void", "voids": "e0"}) == [2, -2]


def test_the_dearest_event_fits(book_of: Callable):
    book = book_of({"input_mtok": "9000", "requests_kcount": "200000000"})
    (cost,) = costs(book, {"input_tokens": MAX_TOKENS_PER_EVENT})
    assert cost == 9_000_000_000 * 10**9 + 200_000 * 10**12


def test_the_dearest_event_fits_with_the_finest_price_beside_it(book_of: Callable):
    book = book_of({"input_mtok": "9000", "output_mtok": "0.000000000000000000001"})
    (cost,) = costs(book, {"input_tokens": MAX_TOKENS_PER_EVENT, "output_tokens": 0})
    assert cost == 9_000_000_000 * 10**9


def test_without_a_card_the_cost_is_unknown(simple: PriceBook):
    assert rated(simple, {"model": "other", "input_tokens": 5}) == [(None, "unpriced", None)]


def test_tokens_in_a_bucket_without_a_rate_make_the_cost_unknown(book_of: Callable):
    book = book_of({"input_mtok": "1"})
    assert rated(book, {"input_tokens": 5, "output_tokens": 1}) == [(None, "unpriced", None)]
    assert costs(book, {"input_tokens": 5, "output_tokens": 0}) == [5_000_000]


def test_a_free_model_costs_nothing_and_is_priced(book_of: Callable):
    book = book_of({"input_mtok": "0", "output_mtok": "0"})
    assert rated(book, {"input_tokens": 5}) == [(0, "priced", "acme-list 1 acme/m")]


def test_missing_usage_has_no_cost(simple: PriceBook):
    assert rated(simple, {"usage_source": "missing"}) == [(None, "no_usage", None)]


@pytest.mark.parametrize(
    "row",
    [
        {"input_tokens": 5},
        {"input_tokens": 5, "model": "other"},
        {"usage_source": "missing"},
        {"input_tokens": 5, "kind": "void", "voids": "e0"},
    ],
)
def test_a_call_served_from_a_cache_cost_nothing(simple: PriceBook, row: dict):
    assert rated(simple, row | {"served_from_cache": True}) == [(0, "priced", "served from cache")]


def test_a_call_not_served_from_a_cache_is_billed(simple: PriceBook):
    assert costs(simple, {"input_tokens": 5, "served_from_cache": False}) == [10_000_000]


def test_each_event_gets_the_price_of_its_own_minute(book: PriceBook):
    off_peak, peak = (
        datetime(2026, 11, 1, *at, tzinfo=UTC) for at in ((0, 29, 59, 999_999), (0, 30))
    )
    row = {"provider": "deepseek", "model": "deepseek-chat", "input_tokens": 1000}
    times = [peak, off_peak, peak + timedelta(days=1), off_peak + timedelta(days=400)]
    frame = rate(usage_frame([row | {"occurred_at": at} for at in times]), book)
    expected = [book.card("deepseek", "deepseek-chat", None, None, at).price_ref for at in times]
    assert frame["price_ref"].to_list() == expected
    assert frame["cost_pico"][0] == frame["cost_pico"][2] == 2 * frame["cost_pico"][1]


def test_order_and_columns_of_the_events_stay(book: PriceBook):
    rows = [
        {"model": model, "service_tier": tier, "region": region, "input_tokens": n}
        for n, (model, tier, region) in enumerate(
            (model, tier, region)
            for model in ("o3", "gpt-4o", "none", "gpt-4.1")
            for tier in (None, "batch", "flex")
            for region in ("us", None, "eu")
        )
    ]
    events = usage_frame(rows).with_columns(pl.Series("index", range(len(rows))))
    frame = rate(events, book)
    assert frame.drop("cost_pico", "rating", "price_ref").equals(events)
    assert frame.schema["cost_pico"] == pl.Int64
    for row in frame.iter_rows(named=True):
        card = book.card(
            "openai", row["model"], row["service_tier"], row["region"], row["occurred_at"]
        )
        assert row["price_ref"] == (card.price_ref if card else None)


def test_a_batch_without_events_is_rated(book: PriceBook):
    frame = rate(usage_frame([]), book)
    assert frame.height == 0
    assert frame.columns[-3:] == ["cost_pico", "rating", "price_ref"]
    assert frame.schema["rating"] == frame.schema["price_ref"] == pl.String


def test_a_batch_without_any_tokens_is_rated(simple: PriceBook):
    rows = [{"usage_source": "missing"}, {"served_from_cache": True, "usage_source": "missing"}]
    assert costs(simple, *rows) == [None, 0]
