"""The price book as lines: one for every minute and size of call, with the rates of its card."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.tokens import BUCKET_NAMES
from streams.rating.pricebook import PriceBook
from streams.rating.schedule import EPOCH
from streams.repricing.prices import Key, price_lines

OWN = """
prices:
  - provider: own
    model: tiered
    effective_from: 2025-06-01T06:30Z
    usd_per_million_tokens: {input: 1, output: 0.3}
    tiers:
      - above_input_tokens: 1000
        usd_per_million_tokens: {input: 0.333333333333}
  - provider: own
    model: tiered
    effective_from: 2150-01-01
    usd_per_million_tokens: {input: 2}
"""
KEYS: list[Key] = [
    ("own", "tiered", None, "eu"),
    ("own", "unknown", "batch", None),
    ("openai", "gpt-4o", "batch", None),
    ("google", "gemini-2.5-pro", None, None),
    ("deepseek", "deepseek-chat", None, None),
]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> PriceBook:
    file: Path = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text(OWN)
    return PriceBook.load(file)


def holds(line: dict[str, Any], minute: int, tokens: int) -> bool:
    at = EPOCH + timedelta(minutes=minute)
    return (
        line["valid_from"] <= at
        and (line["valid_until"] is None or at < line["valid_until"])
        and line["day_from"] <= minute % 1440 < line["day_until"]
        and (line["above_input_tokens"] is None or tokens > line["above_input_tokens"])
        and (line["upto_input_tokens"] is None or tokens <= line["upto_input_tokens"])
    )


@pytest.mark.parametrize("key", KEYS)
def test_one_line_holds_for_each_call_and_has_the_rates_of_its_card(book, key):
    rng = random.Random(1)
    lines = list(price_lines(book, [key]))
    edges = [int((line["valid_from"] - EPOCH).total_seconds()) // 60 for line in lines]
    minutes = [rng.randrange(16_000_000, 68_000_000) for _ in range(100)]
    for minute in [*minutes, *(edge + by for edge in edges for by in (-1, 0) if edge)]:
        tokens = rng.choice((0, 1000, 1001, 200_000, 200_001))
        (line,) = [line for line in lines if holds(line, minute, tokens)]
        card = book.schedule(*key).card_at(minute)
        if card is None:
            assert line["price_ref"] is None
            continue
        level = sum(tokens > threshold for threshold in card.thresholds)
        assert tuple(line[name] for name in BUCKET_NAMES) == card.rates[level]
        assert (line["per_call"], line["denominator"]) == (card.per_call[level], card.denominator)
        assert line["price_ref"] == card.price_ref


def test_a_price_from_after_any_event_has_no_line(book):
    assert {line["valid_from"].year for line in price_lines(book, KEYS[:1])} == {1970, 2025}


def test_a_line_is_told_by_its_content(book):
    first, *_ = price_lines(book, KEYS[:1])
    again, *_ = price_lines(book, KEYS[:1])
    other, *_ = price_lines(book, [("own", "tiered", None, None)])
    assert first == again
    assert first["line"] != other["line"]
