from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from genai_prices.types import (
    ClauseEquals,
    ClauseStartsWith,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    Tier,
    TieredPrices,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import UserError
from streams.rating.bounds import check_bounds
from streams.rating.discounts import Discount, Uplift
from streams.rating.list_prices import ListPrices
from streams.rating.overrides import Overrides
from streams.rating.pricebook import PriceBook
from tests.support.frames import NOON

MINUTE = timedelta(minutes=1)
PRICES = ModelPrice(
    input_mtok=TieredPrices(Decimal("0.0833"), [Tier(100, Decimal(3))]),
    cache_read_mtok=Decimal("0.01"),
    output_mtok=Decimal(8),
    requests_kcount=Decimal("2.5"),
)
LIST = ListPrices(
    [
        Provider(
            "acme",
            "Acme",
            "https://acme",
            models=[
                ModelInfo(
                    "m",
                    ClauseStartsWith("m"),
                    prices=PRICES,
                    price_variants=[
                        PriceVariant({"processing": "batch"}, ModelPrice(input_mtok=Decimal(1)))
                    ],
                ),
                ModelInfo(
                    "odd",
                    ClauseEquals("odd"),
                    prices=ModelPrice(input_mtok=Decimal("0.0833333333333333")),
                ),
                ModelInfo(
                    "dear", ClauseEquals("dear"), prices=ModelPrice(input_mtok=Decimal(8500))
                ),
            ],
        )
    ],
    "acme-list 1",
)


def discount(percent: str = "10", **fields: str) -> Discount:
    return Discount.model_validate(
        {"provider": "acme", "percent": percent, "effective_from": "2026-01-01"} | fields
    )


def uplift(percent: str = "10", **fields: str) -> Uplift:
    return Uplift.model_validate(
        {"provider": "acme", "percent": percent, "effective_from": "2026-01-01"} | fields
    )


def book_with(*changes: Discount | Uplift) -> PriceBook:
    discounts = tuple(one for one in changes if isinstance(one, Discount))
    uplifts = tuple(one for one in changes if isinstance(one, Uplift))
    return PriceBook(LIST, Overrides("prices.yaml", "0", (), discounts, uplifts))


def output(
    book: PriceBook,
    model: str = "m",
    tier: str | None = None,
    region: str | None = None,
    at: datetime = NOON,
) -> str | None:
    card = book.card("acme", model, tier, region, at)
    return card.usd_per_million(0)["output_tokens"] if card else None


def exact(book: PriceBook, tier: str | None, region: str | None) -> list[Fraction | None]:
    card = book.card("acme", "m", tier, region, NOON)
    assert card is not None
    prices = [*card.per_call, *(rate for level in card.rates for rate in level)]
    return [None if price is None else Fraction(price, card.denominator) for price in prices]


PERCENT = st.decimals(Decimal("0.0001"), Decimal("99.9999"), places=4).map(str)


@settings(max_examples=30, deadline=None)
@given(off=PERCENT, on=PERCENT, tier=st.sampled_from([None, "batch", "flex"]))
def test_percentages_are_applied_exactly_to_every_rate(off: str, on: str, tier: str | None):
    plain = exact(PriceBook(LIST), tier, None)
    book = book_with(discount(off), uplift(on, region="eu"))
    less = 1 - Fraction(off) / 100
    assert exact(book, tier, None) == [p if p is None else p * less for p in plain]
    both = less * (1 + Fraction(on) / 100)
    assert exact(book, tier, "EU") == [p if p is None else p * both for p in plain]


CHANGES = (
    discount("1"),
    discount("2", region="eu"),
    discount("3", service_tier="batch"),
    discount("4", model="m*"),
    discount("5", model="mini*", region="eu"),
    discount("6", model="m"),
    discount("7", model="mini-1", effective_until="2026-06-01"),
    discount("8", effective_from="2026-02-01"),
)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(CHANGES))
def test_the_order_in_the_file_does_not_matter(order: list[Discount]):
    def prices(book: PriceBook) -> list[str | None]:
        asked = itertools.product(("m", "mini-1", "mini-2"), (None, "batch"), (None, "eu"))
        return [output(book, *key) for key in asked]

    assert prices(book_with(*order)) == prices(book_with(*CHANGES))


@pytest.mark.parametrize(
    ("changes", "asked", "percent"),
    [
        ([discount("1"), discount("2", model="m*")], ("m",), 2),
        ([discount("1", model="mi*"), discount("2", model="m*")], ("mini",), 1),
        ([discount("1", model="mini*"), discount("2", model="m")], ("mini",), 2),  # as it is listed
        ([discount("1", model="mini"), discount("2", model="m")], ("mini",), 1),
        ([discount("1", model="m"), discount("2", service_tier="batch")], ("m", "batch"), 1),
        (
            [discount("1", service_tier="batch"), discount("2", region="eu")],
            ("m", "batch", "eu"),
            1,
        ),
        ([discount("1"), discount("2", region="eu")], ("m", None, "EU"), 2),
        ([discount("1"), discount("2", region="eu")], ("m", None, "us"), 1),
        (
            [discount("1", service_tier="standard")],
            ("m", "flex"),
            1,
        ),  # which standard stands in for
        ([discount("1", service_tier="standard")], ("m", "batch"), 0),
        ([discount("1", model="n*")], ("m",), 0),
    ],
)
def test_the_most_specific_discount_applies(changes: list, asked: tuple, percent: int):
    for order in (changes, changes[::-1]):
        assert output(book_with(*order), *asked) == str(
            (Decimal(8) * (100 - percent) / 100).normalize()
        )


def test_the_reference_says_what_was_applied_and_who_decided_it():
    changes = (discount("12.50", who="Jane", why="contract 7"), uplift(region="eu"))
    card = book_with(*changes).card("acme", "m", "batch", "eu", NOON)
    assert card is not None
    assert card.price_ref == (
        "acme-list 1 acme/m batch, prices.yaml -12.5 % from 2026-01-01, +10 % eu from 2026-01-01"
    )
    assert [(one.what, one.who, one.why) for one in card.source.decisions] == [
        ("-12.5 % from 2026-01-01", "Jane", "contract 7"),
        ("+10 % eu from 2026-01-01", None, None),
    ]


def test_a_discount_that_names_a_tier_without_a_list_price_makes_it_a_price_of_that_tier():
    card = book_with(discount("50", service_tier="flex")).card("acme", "m", "flex", None, NOON)
    assert card is not None
    assert card.service_tier == "flex"
    assert "stands" not in card.price_ref
    assert card.usd_per_million(0)["output_tokens"] == "4"


def test_a_discount_begins_and_ends_on_the_minute():
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, 6, 30, tzinfo=UTC)
    book = book_with(discount("50", effective_until="2026-06-01T08:30+02:00"))
    assert [output(book, at=at) for at in (start - MINUTE, start, end - MINUTE, end)] == [
        "8",
        "4",
        "4",
        "8",
    ]


def test_a_later_discount_of_the_same_scope_ends_the_earlier_one_for_good():
    later = discount("25", effective_from="2026-02-01", effective_until="2026-03-01")
    book = book_with(discount("50"), later)
    at = (datetime(2026, month, 15, tzinfo=UTC) for month in (1, 2, 3))
    assert [output(book, at=one) for one in at] == ["4", "6", "8"]


FILE = """\
prices:
  - {provider: acme, model: m, region: eu, effective_from: 2026-02-01, who: Ann, why: contract 1,
     usd_per_million_tokens: {output: 7}}
discounts:
  - {provider: acme, percent: 50, effective_from: 2026-01-01}
uplifts:
  - {provider: acme, percent: 10, region: eu, effective_from: 2026-01-01}
"""


def test_an_absolute_price_is_neither_discounted_nor_uplifted(written: Callable):
    book = PriceBook(LIST, Overrides.load(written(FILE)))
    assert output(book) == "4"
    assert output(book, region="eu", at=datetime(2026, 1, 31, tzinfo=UTC)) == "4.4"
    assert output(book, region="eu") == "7"


def test_the_version_of_a_book_tells_its_discounts(written: Callable):
    only = FILE[FILE.index("discounts:") :]
    book = PriceBook(LIST, Overrides.load(written(only)))
    assert book.version.startswith("acme-list 1 + prices.yaml@")


def of(**fields: str) -> str:
    named = {"provider": "acme", "percent": "5", "effective_from": "2026-01-01"} | fields
    return "  - {" + ", ".join(f"{key}: {value}" for key, value in named.items() if value) + "}\n"


ERRORS = {
    "sign": (of(percent="-5"), ":2: discounts[0].percent: is '-5'; a percentage above 0 without"),
    "percent sign": (of(percent="5 %"), "is '5 %'; a percentage above 0 without a sign, such as"),
    "zero": (of(percent="0.0"), "is '0.0'; a percentage above 0"),
    "everything": (of(percent="100"), "percent: is '100'; below 100"),
    "none": (of(percent=""), "percent: is missing; write for example `percent: 12.5`"),
    "star within": (of(model="g*o"), "model: is 'g*o'; a model's name, or its beginning and a *"),
    "star alone": (of(model="'*'"), "leave the line out for every model"),
    "typo": (of(efective_until="2026-02-01"), "did you mean effective_until?"),
    "tier": (of(service_tier="cheap"), "service_tier: is 'cheap'; expected 'standard', 'batch'"),
    "ends first": (
        of(effective_until="2026-01-01"),
        "effective_until: is not after effective_from",
    ),
    "twice": (
        of(model="M") + of(model="m"),
        ":3: discounts[1] (acme/m): the same provider, model, service_tier, region and "
        "effective_from as discounts[0]; keep one of them",
    ),
    "overlap": (
        of(effective_from="2026-02-01") + of(effective_until="2026-02-02"),
        ":2: discounts[0]: begins before discounts[1] of the same provider",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_mistake_in_a_discount_is_told_with_file_and_line(name: str, written: Callable):
    entries, expected = ERRORS[name]
    path = written("discounts:\n" + entries)
    with pytest.raises(UserError) as caught:
        Overrides.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uplifts:\n" + of(percent="10"), ":2: uplifts[0]: +10 % from 2026-01-01 on acme-list 1"),
        (
            "uplifts:\n" + of(percent="10", model="dear"),
            "9350 USD per million tokens is outside",
        ),
        ("discounts:\n" + of(percent="0.000001"), "a price has more than 21 decimals"),
        (
            "uplifts:\n" + of(percent="0.1", model="odd") + "discounts:\n" + of(percent="0.1"),
            "a price has more than 21 decimals",
        ),
    ],
)
def test_a_percentage_that_no_rate_card_can_hold_refuses_the_file(
    written: Callable, text: str, expected: str
):
    path: Path = written(text)
    with pytest.raises(UserError) as caught:
        check_bounds(Overrides.load(path), LIST)
    assert expected in str(caught.value)


def test_a_percentage_is_only_held_against_the_models_it_is_for(written: Callable):
    check_bounds(Overrides.load(written("uplifts:\n" + of(percent="10", model="m"))), LIST)
