from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from genai_prices.types import ConditionalPrice, ModelPrice, StartDateConstraint

from schemas.errors import UserError
from streams.rating.pricebook import PriceBook
from streams.rating.show import describe
from tests.support.frames import NOON


def test_a_model_alone_finds_its_provider(book: PriceBook):
    found = describe(book, "gpt-4o", NOON)
    assert {(price.provider, price.model) for price in found} == {("openai", "gpt-4o")}
    assert [price.service_tier for price in found] == ["standard", "batch", "priority"]
    assert found[0].levels[0].usd_per_million_tokens["input_tokens"] == "2.5"


def test_provider_and_model_may_be_one_text(book: PriceBook):
    assert describe(book, "openai/gpt-4o", NOON) == describe(book, "gpt-4o", NOON, "openai")


def test_a_slash_may_belong_to_the_model(book: PriceBook):
    (first, *_) = describe(book, "openai/gpt-oss-120b", NOON, "groq")
    assert (first.provider, first.model) == ("groq", "openai/gpt-oss-120b")


def test_tiers_and_validity_are_told(book: PriceBook):
    standard, batch = describe(book, "anthropic/claude-haiku-5-5", NOON)
    assert [level.above_input_tokens for level in standard.levels] == [None, 100_000]
    assert standard.levels[1].usd_per_million_tokens["cache_write_1h_tokens"] == "1"
    assert batch.valid_from == datetime(2026, 10, 14, tzinfo=UTC)
    assert batch.valid_until is None
    assert batch.pricing_urls == ("https://www.anthropic.com/pricing#api",)


def test_off_peak_hours_are_told(book: PriceBook):
    at = datetime(2026, 11, 1, 20, tzinfo=UTC)
    assert describe(book, "deepseek/deepseek-chat", at)[0].hours == "16:30-00:30 UTC"


def test_a_price_tells_when_it_ends_and_when_it_was_checked(book_of: Callable):
    price = ModelPrice(input_mtok=Decimal(1))
    book = book_of(
        [
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(2))),
            ConditionalPrice(StartDateConstraint(date(2026, 12, 1)), prices=price),
        ],
        price_comments="Checked against https://acme.example/docs on 2026-08-25.",
    )
    (found,) = describe(book, "acme/m", NOON)
    assert found.valid_until == datetime(2026, 12, 1, tzinfo=UTC)
    assert found.checked == date(2026, 8, 25)
    assert found.source == "acme-list 1"


def test_overrides_are_shown_with_their_regions(written: Callable):
    path = written(
        "prices:\n"
        "  - {provider: acme, model: m, effective_from: 2026-10-01, usd_per_call: 0.5}\n"
        "  - {provider: acme, model: m, effective_from: 2026-10-01, usd_per_call: 0.7, region: eu,"
        " note: contract 4711}\n"
    )
    anywhere, eu = describe(PriceBook.load(path), "M", NOON)
    assert (anywhere.region, anywhere.levels[0].usd_per_call) == (None, "0.5")
    assert (eu.region, eu.levels[0].usd_per_call, eu.comments) == ("eu", "0.7", "contract 4711")
    assert eu.source == "prices.yaml"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("gpt-4oo", "did you mean gpt-4o, "),
        ("opnai/gpt-4o", "did you mean openai/gpt-4o, "),
        ("qqqqqqqqqq", "an override can give it a price"),
    ],
)
def test_an_unknown_model_is_a_users_mistake_with_close_matches(
    book: PriceBook, text: str, hint: str
):
    with pytest.raises(UserError, match="no price is known for the model") as caught:
        describe(book, text, NOON)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_a_token_price_is_said_to_be_unpriced(book: PriceBook):
    with pytest.raises(UserError, match="openai/whisper-1 has no price per token or call"):
        describe(book, "openai/whisper-1", NOON)
