from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from genai_prices.types import (
    ConditionalPrice,
    ModelPrice,
    StartDateConstraint,
    TimeOfDateConstraint,
)

from streams.rating.check import long_unchecked, warnings
from streams.rating.diff import differences, touched
from streams.rating.history import history
from streams.rating.overrides import Overrides
from streams.rating.pricebook import PriceBook
from tests.support.frames import NOON

FILE = """\
prices:
  - {provider: acme, model: m, region: eu, effective_from: 2026-03-01, who: Ann, why: contract 1,
     usd_per_million_tokens: {input: 3, output: 8}}
discounts:
  - {provider: acme, percent: 25, effective_from: 2026-02-01, effective_until: 2026-04-01}
"""


@pytest.fixture
def listed(book_of: Callable) -> PriceBook:
    """acme/m: input 2, from 2026-03-15 on 4; output 8."""

    def price(usd: int) -> ModelPrice:
        return ModelPrice(input_mtok=Decimal(usd), output_mtok=Decimal(8))

    start = StartDateConstraint(date(2026, 3, 15))
    book: PriceBook = book_of(
        [ConditionalPrice(prices=price(2)), ConditionalPrice(start, prices=price(4))],
        price_comments="Checked on 2026-03-15.",
    )
    return book


@pytest.fixture
def changed(listed: PriceBook, written: Callable) -> PriceBook:
    return PriceBook(listed.list_prices, Overrides.load(written(FILE)))


def day(at: datetime | None) -> str | None:
    return at and f"{at:%m-%d}"


def test_what_changes_is_told_per_rate_and_stretch_of_time(listed: PriceBook, changed: PriceBook):
    rows = differences(listed, changed, touched(changed))
    told = [
        (r.region, r.bucket, r.old, r.new, str(r.percent), day(r.valid_from), day(r.valid_until))
        for r in rows
        if not r.derived
    ]
    assert sorted(told, key=str) == sorted(
        [
            (None, "input", "2", "1.5", "-25.00", "02-01", "03-15"),
            (None, "input", "4", "3", "-25.00", "03-15", "04-01"),
            (None, "output", "8", "6", "-25.00", "02-01", "04-01"),
            ("eu", "input", "2", "1.5", "-25.00", "02-01", "03-01"),
            ("eu", "input", "2", "3", "50.00", "03-01", "03-15"),
            ("eu", "input", "4", "3", "-25.00", "03-15", None),
            ("eu", "output", "8", "6", "-25.00", "02-01", "03-01"),
        ],
        key=str,
    )
    assert {row.bucket for row in rows if row.derived} >= {"cache_read", "reasoning"}


def test_a_book_does_not_differ_from_itself_and_backwards_is_the_reverse(
    listed: PriceBook, changed: PriceBook
):
    models = touched(changed)
    assert differences(changed, changed, models) == []
    there, back = differences(listed, changed, models), differences(changed, listed, models)
    assert sorted((r.bucket, r.old, r.new, r.valid_from) for r in there) == sorted(
        (r.bucket, r.new, r.old, r.valid_from) for r in back
    )


def test_a_model_without_a_price_before_is_told_as_such(listed: PriceBook, written: Callable):
    text = "prices:\n  - {provider: own, model: n, effective_from: 2026-03-01, usd_per_call: 0.5}\n"
    book = PriceBook(listed.list_prices, Overrides.load(written(text)))
    (row,) = differences(listed, book, touched(book))
    assert (row.bucket, row.old, row.new, row.percent) == ("per_call", None, "0.5", None)


def test_history_has_every_period_with_what_changed_and_who_said_so(changed: PriceBook):
    periods = history(changed, "acme", "m", region="eu")
    assert [
        (day(p.valid_from), day(p.valid_until), p.rates[0].usd, str(p.rates[0].percent))
        for p in periods
    ] == [
        (None, "02-01", "2", "None"),
        ("02-01", "03-01", "1.5", "-25.00"),
        ("03-01", None, "3", "100.00"),
    ]
    assert [[(d.who, d.why) for d in p.decisions] for p in periods] == [
        [],
        [(None, None)],
        [("Ann", "contract 1")],
    ]
    everywhere = history(changed, "acme", "m")
    assert [day(p.valid_from) for p in everywhere if p.region is None] == [
        None,
        "02-01",
        "03-15",
        "04-01",
    ]


def test_history_tells_the_hours_of_a_day(book_of: Callable):
    peak = TimeOfDateConstraint(time(0, 30, tzinfo=UTC), time(16, 30, tzinfo=UTC))
    cheap, dear = (ModelPrice(input_mtok=Decimal(usd)) for usd in (1, 2))
    book = book_of([ConditionalPrice(prices=cheap), ConditionalPrice(peak, prices=dear)])
    assert {p.hours: p.rates[0].usd for p in history(book, "acme", "m")} == {
        "16:30-00:30 UTC": "1",
        "00:30-16:30 UTC": "2",
    }


DOUBTFUL = {
    "provider": (
        "{provider: opnai, percent: 5, effective_from: 2026-01-01}",
        "did you mean openai?",
    ),
    "model": (
        "{provider: openai, model: gpt4o, percent: 5, effective_from: 2026-01-01}",
        "the list has no model gpt4o of openai; did you mean gpt-4o?",
    ),
    "pattern": (
        "{provider: openai, model: gtp-4o*, percent: 5, effective_from: 2026-01-01}",
        "no model that the list has of openai begins like gtp-4o*; did you mean gpt-4o?",
    ),
    "future": (
        "{provider: openai, percent: 5, effective_from: 2027-01-01}",
        "begins on 2027-01-01, which is still to come",
    ),
    "over": (
        "{provider: openai, percent: 5, effective_from: 2025-01-01, effective_until: 2026-01-01}",
        "is over since 2026-01-01",
    ),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_is_doubtful_is_warned_of_with_its_line(name: str, book: PriceBook, written: Callable):
    entry, expected = DOUBTFUL[name]
    path = written(f"discounts:\n  - {entry}\n")
    warned = warnings(PriceBook(book.list_prices, Overrides.load(path)), NOON)
    assert len(warned) == 1
    assert warned[0].startswith(f"{path}:2: discounts[0]")
    assert expected in warned[0]


def test_a_price_that_no_list_knows_is_only_doubted_where_a_name_is_close(
    book: PriceBook, written: Callable
):
    def entry(provider: str, model: str) -> str:
        return (
            f"  - {{provider: {provider}, model: {model}, effective_from: 2026-01-01, "
            "usd_per_call: 1}\n"
        )

    text = "prices:\n" + entry("own-cluster", "qwen3-235b") + entry("openai", "gtp-4o-mini")
    (only,) = warnings(PriceBook(book.list_prices, Overrides.load(written(text))), NOON)
    assert "prices[1] (openai/gtp-4o-mini): " in only
    assert "did you mean gpt-4o-mini?" in only


def test_list_prices_that_were_last_checked_long_ago_are_told(listed: PriceBook):
    models = [("acme", "m"), ("acme", "unknown")]
    (told,) = long_unchecked(listed, models, datetime(2026, 9, 1, tzinfo=UTC), 100)
    assert told.startswith("acme/m: the list says that it last checked this price on 2026-03-15")
    assert list(long_unchecked(listed, models, datetime(2026, 9, 1, tzinfo=UTC), 200)) == []
