"""Values in short: never longer than a card, and never nothing where there is something."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from reports.figures.currency import Rates
from reports.page.words import amount, rates_words, shown


@pytest.mark.parametrize(
    ("kind", "value", "unit", "text"),
    [
        ("money", None, "USD", "–"),
        ("money", Decimal("0.0000123"), "USD", "$0.0000123"),
        ("money", Decimal("12.345"), "USD", "$12.34"),
        ("money", Decimal("12345.678901234567"), "HKD", "HK$12,346"),
        ("money", Decimal("-1234567"), "USD", "-$1.23 M"),
        ("usd", Decimal(5), "USD", "$5.00"),
        ("count", 999_999, "calls", "999,999"),
        ("count", 1_234_567, "calls", "1.23 M"),
        ("number", Decimal("1094.104"), "tokens", "1,094"),
        ("number", Decimal("1.5"), "tokens", "1.5"),
        ("share", Decimal("0.399"), "", "39.9 %"),
        ("share", Decimal("0.0001"), "", "under 0.1 %"),
        ("share", Decimal("0.99999"), "", "over 99.9 %"),
        ("share", Decimal(0), "", "0.0 %"),
        ("change", Decimal("0.057"), "", "+5.7 %"),
        ("change", Decimal("-1"), "", "-100.0 %"),
        ("month", date(2026, 11, 1), "", "2026-11"),
    ],
)
def test_a_value_in_short(kind, value, unit, text):
    assert shown(kind, value, unit) == text


def test_an_amount_of_anything_has_its_unit():
    assert amount(Decimal("5130000"), "tokens") == "5.13 M tokens"
    assert amount(Decimal("9.5"), "HKD") == "HK$9.50"


def test_rates_say_what_is_not_converted():
    assert rates_words(None) == ""
    one = Rates("HKD", Decimal("7.8"), Decimal("7.800"), ())
    assert rates_words(one) == "In HKD, each day at its rate: 7.8 for a US dollar."
    days = tuple(date(2019, 1, day) for day in range(1, 8))
    words = rates_words(Rates("HKD", Decimal("7.7"), Decimal("7.8"), days))
    assert "7.7 to 7.8" in words
    assert words.endswith("no rate: 2019-01-01, 2019-01-02, 2019-01-03, 2019-01-04, 2019-01-05 ….")
    assert "no amount" in rates_words(Rates("EUR", None, None, ()))
