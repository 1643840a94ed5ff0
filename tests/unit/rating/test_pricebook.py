from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices.types import (
    ConditionalPrice,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from schemas.tokens import BUCKET_NAMES
from streams.rating import pricebook
from streams.rating.cards import RateCard
from streams.rating.pricebook import PriceBook

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def price(usd: str, **more: str) -> ModelPrice:
    named = {key: Decimal(value) for key, value in more.items()}
    return ModelPrice(input_mtok=Decimal(usd), **named)


def usd(card: RateCard | None, bucket: str = "input") -> str | None:
    assert card is not None
    return card.usd_per_million(0)[f"{bucket}_tokens"]


def test_an_unknown_provider_or_model_has_no_card(book: PriceBook):
    assert book.card("nobody", "gpt-4o", None, None, AT) is None
    assert book.card("openai", "no-such-model", None, None, AT) is None


def test_the_reference_names_source_version_model_and_start(book: PriceBook):
    card = book.card("anthropic", "claude-haiku-4-5", "batch", None, AT)
    assert card is not None
    assert card.price_ref == f"{book.version} anthropic/claude-haiku-4-5 batch from 2026-10-14"
    assert book.version.startswith("genai-prices ")
    assert card.source.urls == ("https://www.anthropic.com/pricing#api",)


def test_names_are_matched_in_any_case(book: PriceBook):
    small = book.card("openai", "gpt-4o", None, None, AT)
    assert small is not None
    assert book.card("OpenAI", "GPT-4o", None, None, AT) == small


@pytest.mark.parametrize(
    ("conventional", "listed", "model"),
    [
        ("x_ai", "x-ai", "grok-3"),
        ("gcp.gen_ai", "google", "gemini-2.5-pro"),
        ("azure.ai.openai", "azure", "gpt-4o"),
        ("AZ.AI.OpenAI", "azure", "gpt-4o"),
    ],
)
def test_opentelemetrys_names_of_providers_have_their_prices(
    book: PriceBook, conventional: str, listed: str, model: str
):
    expected = book.card(listed, model, None, None, AT)
    assert expected is not None
    assert book.card(conventional, model, None, None, AT) == expected


def test_every_bucket_is_charged_like_its_most_specific_priced_unit(book_of: Callable):
    book = book_of(
        {
            "input_mtok": "1",
            "cache_read_mtok": "0.1",
            "cache_write_mtok": "1.25",
            "cache_write_1h_mtok": "2",
            "input_audio_mtok": "30",
            "cache_audio_read_mtok": "3",
            "cache_audio_write_mtok": "4",
            "cache_audio_write_1h_mtok": "5",
            "output_mtok": "10",
            "output_audio_mtok": "60",
        }
    )
    card = book.card("acme", "m", None, None, AT)
    assert card is not None
    assert dict(zip(BUCKET_NAMES, card.usd_per_million(0).values(), strict=True)) == {
        "input_tokens": "1",
        "cache_read_tokens": "0.1",
        "cache_write_5m_tokens": "1.25",
        "cache_write_1h_tokens": "2",
        "input_audio_tokens": "30",
        "cache_read_audio_tokens": "3",
        "input_image_tokens": "1",
        "cache_read_image_tokens": "0.1",
        "output_tokens": "10",
        "reasoning_tokens": "10",
        "output_audio_tokens": "60",
        "output_image_tokens": "10",
    }


def test_a_price_starts_at_midnight_utc(book_of: Callable):
    start = StartDateConstraint(date(2026, 3, 1))
    book = book_of(
        [ConditionalPrice(prices=price("1")), ConditionalPrice(start, prices=price("2"))]
    )
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    before, after = (book.card("acme", "m", None, None, at) for at in (midnight - MINUTE, midnight))
    assert (usd(before), usd(after)) == ("1", "2")
    assert before.price_ref == "acme-list 1 acme/m"
    assert after.price_ref == "acme-list 1 acme/m from 2026-03-01"


def test_the_time_of_the_day_counts_to_the_minute(book_of: Callable):
    peak = TimeOfDateConstraint(time(0, 30, tzinfo=UTC), time(16, 30, tzinfo=UTC))
    book = book_of([ConditionalPrice(prices=price("1")), ConditionalPrice(peak, prices=price("2"))])
    day = datetime(2026, 3, 1, tzinfo=UTC)
    at = {"00:00": 0, "00:29": 29, "00:30": 30, "16:29": 989, "16:30": 990, "23:59": 1439}
    assert {
        text: usd(book.card("acme", "m", None, None, day + minutes * MINUTE))
        for text, minutes in at.items()
    } == {"00:00": "1", "00:29": "1", "00:30": "2", "16:29": "2", "16:30": "1", "23:59": "1"}


def test_hours_that_cross_midnight_in_another_zone_are_converted(book_of: Callable):
    zone = timezone(timedelta(hours=2))
    night = TimeOfDateConstraint(time(0, 0, tzinfo=zone), time(4, 0, tzinfo=zone))
    book = book_of(
        [ConditionalPrice(prices=price("2")), ConditionalPrice(night, prices=price("1"))]
    )
    day = datetime(2026, 3, 1, tzinfo=UTC)
    assert [
        usd(book.card("acme", "m", None, None, day + hour * 60 * MINUTE)) for hour in (1, 2, 21, 22)
    ] == ["1", "2", "2", "1"]


def test_a_price_that_changes_within_a_minute_makes_the_model_unpriced(
    book_of: Callable, caplog: pytest.LogCaptureFixture
):
    odd = TimeOfDateConstraint(time(0, 0, 30), time(4))
    book = book_of([ConditionalPrice(prices=price("2")), ConditionalPrice(odd, prices=price("1"))])
    with caplog.at_level(logging.WARNING):
        assert book.card("acme", "m", None, None, AT) is None
    assert "acme/m: list price not usable: a price changes at 00:00:30" in caplog.text


def test_a_price_beyond_the_bound_makes_the_model_unpriced_and_is_logged(
    book_of: Callable, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        assert book_of({"input_mtok": "9001"}).card("acme", "m", None, None, AT) is None
    assert "outside 0 to 9000" in caplog.text


def test_a_price_without_its_ancestors_makes_the_model_unpriced(book_of: Callable):
    assert book_of({"cache_read_mtok": "1"}).card("acme", "m", None, None, AT) is None


def test_a_model_priced_by_anything_but_tokens_has_no_card(book: PriceBook, book_of: Callable):
    assert book.card("openai", "whisper-1", None, None, AT) is None
    assert book_of({"audio_hours": "3"}).card("acme", "m", None, None, AT) is None
    assert book_of({}).card("acme", "m", None, None, AT) is None


@pytest.mark.parametrize(
    ("tier", "when"),
    [
        ("batch", {"processing": "batch"}),
        ("flex", {"service_tier": "flex"}),
        ("priority", {"service_tier": "priority"}),
    ],
)
def test_a_service_tier_has_its_own_price(book_of: Callable, tier: str, when: dict):
    book = book_of({"input_mtok": "2"}, price_variants=[PriceVariant(when, price("1"))])
    own = book.card("acme", "m", tier, None, AT)
    assert (usd(own), own.price_ref, own.service_tier) == ("1", f"acme-list 1 acme/m {tier}", tier)
    assert usd(book.card("acme", "m", "standard", None, AT)) == "2"


def test_a_tier_price_leaves_what_it_does_not_name_at_the_standard_rate(book_of: Callable):
    variant = PriceVariant({"processing": "batch"}, price("1"))
    book = book_of({"input_mtok": "2", "output_mtok": "8"}, price_variants=[variant])
    card = book.card("acme", "m", "batch", None, AT)
    assert (usd(card), usd(card, "output")) == ("1", "8")


def test_without_a_tier_price_the_standard_price_stands_in_and_says_so(book_of: Callable):
    variant = PriceVariant(
        {"processing": "batch"}, price("1"), StartDateConstraint(date(2026, 11, 1))
    )
    book = book_of({"input_mtok": "2"}, price_variants=[variant])
    before = book.card("acme", "m", "batch", None, datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
    assert usd(before) == "2"
    assert before.price_ref == "acme-list 1 acme/m (no batch price known: standard)"
    assert usd(book.card("acme", "m", "batch", None, datetime(2026, 11, 1, tzinfo=UTC))) == "1"


def test_a_resold_model_has_its_owners_standard_price_only(book: PriceBook):
    card = book.card("azure", "gpt-4.1", "batch", None, AT)
    assert card is not None
    owned = book.card("azure", "gpt-4.1", None, None, AT)
    assert card.rates == owned.rates
    assert "(no batch price known: standard)" in card.price_ref


def test_thresholds_of_several_units_are_merged(book_of: Callable):
    book = book_of(
        {
            "input_mtok": TieredPrices(Decimal(1), [Tier(100, Decimal(2)), Tier(300, Decimal(3))]),
            "output_mtok": TieredPrices(Decimal(10), [Tier(200, Decimal(20))]),
        }
    )
    card = book.card("acme", "m", None, None, AT)
    assert card.thresholds == (100, 200, 300)
    shown = [card.usd_per_million(level) for level in range(4)]
    assert [(s["input_tokens"], s["output_tokens"]) for s in shown] == [
        ("1", "10"),
        ("2", "10"),
        ("2", "20"),
        ("3", "20"),
    ]


def test_made_up_models_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch, book: PriceBook):
    monkeypatch.setattr(pricebook, "MAX_SCHEDULES", 8)
    small = PriceBook(book.list_prices)
    for number in range(50):
        small.card("openai", f"made-up-{number}", None, None, AT)
    assert small.schedule.cache_info().currsize == 8


def test_a_known_key_is_compiled_once(book: PriceBook):
    fresh = PriceBook(book.list_prices)
    for hours in range(5):
        fresh.card("openai", "gpt-4o", None, "eu", AT + timedelta(hours=hours))
    assert fresh.schedule.cache_info().misses == 1
