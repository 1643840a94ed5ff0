from __future__ import annotations

from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest

from schemas.tokens import BUCKET_NAMES, MAX_TOKENS_PER_EVENT
from streams.rating.cards import MAX_PER_CALL, MAX_RATE, Level, PriceSource, RateCard


def card_of(*levels: Level) -> RateCard:
    return RateCard.of("test", "standard", levels, PriceSource("test"))


def input_rate(card: RateCard) -> int | None:
    return card.rates[0][BUCKET_NAMES.index("input_tokens")]


def test_a_usual_price_is_a_whole_number_of_pico_dollars_per_token():
    card = card_of(Level(None, {"input_tokens": Decimal("2.50")}))
    assert (input_rate(card), card.denominator) == (2_500_000, 1)


def test_a_price_with_more_than_six_decimals_is_held_exactly_over_a_denominator():
    card = card_of(Level(None, {"input_tokens": Decimal("0.0833333333333333")}))
    assert (input_rate(card), card.denominator) == (833_333_333_333_333, 10**10)
    assert card.usd_per_million(0)["input_tokens"] == "0.0833333333333333"


def test_a_bucket_without_a_price_has_no_rate_and_a_free_one_has_rate_zero():
    card = card_of(Level(None, {"input_tokens": Decimal(0), "output_tokens": None}))
    assert input_rate(card) == 0
    assert card.rates[0][BUCKET_NAMES.index("output_tokens")] is None
    assert card.charges


def test_a_card_without_any_rate_charges_nothing_that_is_known():
    assert not card_of(Level(None, {})).charges


def test_the_price_per_call_is_in_pico_dollars_and_shown_in_dollars():
    card = card_of(Level(None, {}, Decimal("0.012")))
    assert card.per_call == (12_000_000_000,)
    assert card.usd_per_call(0) == "0.012"


def test_the_bounds_keep_the_dearest_event_inside_64_bits():
    assert MAX_RATE * MAX_TOKENS_PER_EVENT + MAX_PER_CALL < 2**63


def test_the_highest_rate_is_accepted_and_one_step_more_is_refused():
    assert input_rate(card_of(Level(None, {"input_tokens": Decimal(9000)}))) == MAX_RATE
    with pytest.raises(ValueError, match="outside 0 to 9000"):
        card_of(Level(None, {"input_tokens": Decimal("9000.000001")}))


def test_a_rate_that_only_a_tier_has_is_bounded_too():
    with pytest.raises(ValueError, match="outside 0 to 9000"):
        card_of(Level(None, {}), Level(1000, {"output_tokens": Decimal(10_000)}))


@pytest.mark.parametrize("price", ["-0.01", "NaN", "Infinity"])
def test_what_is_no_price_is_refused(price: str):
    with pytest.raises(ValueError, match="price"):
        card_of(Level(None, {"input_tokens": Decimal(price)}))


def test_a_price_finer_than_128_bits_can_hold_is_refused():
    with pytest.raises(ValueError, match="21 decimals"):
        card_of(Level(None, {"input_tokens": Decimal("1e-22")}))


def test_a_dear_price_per_call_is_refused():
    with pytest.raises(ValueError, match="USD per call"):
        card_of(Level(None, {}, Decimal(200_001)))


def test_a_card_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        card_of(Level(None, {})).denominator = 10
