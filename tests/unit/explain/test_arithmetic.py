"""The arithmetic that is shown is the arithmetic that was charged."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from schemas.tokens import BUCKET_NAMES
from streams.explain.arithmetic import priced
from streams.rating.cards import Level, PriceSource, RateCard
from streams.rating.pricebook import PriceBook
from streams.rating.rate import rate
from streams.rating.schedule import minute_of
from tests.support.frames import NOON, usage_frame

SOURCE = PriceSource("a list")


def card(*levels: Level) -> RateCard:
    return RateCard.of("ref", "standard", levels, SOURCE)


def level(above: int | None = None, per_call: str | None = None, **rates: str) -> Level:
    usd = {f"{name}_tokens": Decimal(text) for name, text in rates.items()}
    return Level(above, usd, None if per_call is None else Decimal(per_call))


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o"),
        ("anthropic", "claude-sonnet-4-5"),
        ("google", "gemini-2.5-pro"),
        ("deepseek", "deepseek-chat"),
    ],
)
def test_it_comes_to_what_the_meter_charged(provider: str, model: str):
    book, dice = PriceBook.load(), random.Random(7)
    rows = [
        {"provider": provider, "model": model}
        | {name: dice.choice((0, 7, 250_000)) for name in dice.sample(BUCKET_NAMES, 3)}
        for _ in range(60)
    ]
    rated = rate(usage_frame(rows), book)
    rates = book.schedule(provider, model, None, None).card_at(minute_of(NOON))
    assert rates is not None
    found = [priced(rates, {k: v for k, v in row.items() if k in BUCKET_NAMES}) for row in rows]
    assert [one.pico for one in found] == rated["cost_pico"].to_list()
    assert any(one.pico for one in found)


def test_every_line_has_the_rate_of_the_level_that_the_call_exceeds():
    found = priced(
        card(level(input="1", output="2"), level(1000, "0.5", input="3", output="4")),
        {"input_tokens": 1001, "output_tokens": 10},
    )
    assert [(line.bucket, line.tokens, line.rate) for line in found.lines] == [
        ("input_tokens", 1001, "3"),
        ("output_tokens", 10, "4"),
        (None, 1, "0.5"),
    ]
    assert (found.above, found.usd) == (1000, Decimal("0.503043"))


def test_at_a_threshold_the_level_below_holds():
    found = priced(card(level(input="1"), level(1000, input="3")), {"input_tokens": 1000})
    assert (found.above, found.usd) == (None, Decimal("0.001"))


def test_a_rate_that_is_not_known_makes_no_cost():
    found = priced(card(level(input="1")), {"input_tokens": 5, "output_tokens": 1})
    assert found.pico is None
    assert found.usd is None
    assert [line.rate for line in found.lines] == ["1", None]


def test_a_half_pico_dollar_goes_to_even():
    half = card(level(input="0.0000005"))
    assert half.denominator > 1
    costs = [priced(half, {"input_tokens": tokens}).pico for tokens in (1, 3, 5)]
    assert costs == [round(Fraction(tokens, 2)) for tokens in (1, 3, 5)] == [0, 2, 2]
