"""Exchange rates hold from the first instant of a day in the book's zone, and are exact."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from streams.budgets.exchange import ALWAYS, Rates

RATES = Rates.of(
    {"HKD": {date(2026, 7, 1): Decimal("7.80"), date(2026, 1, 1): Decimal("7.78")}},
    "Asia/Hong_Kong",
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "rate"),
    [
        ("2025-12-31 15:59:59.999999", None),
        ("2025-12-31 16:00", "7.78"),
        ("2026-06-30 15:59:59.999999", "7.78"),
        ("2026-06-30 16:00", "7.80"),
        ("2099-01-01 00:00", "7.80"),
    ],
)
def test_a_rate_holds_from_local_midnight_until_the_next_one(moment, rate):
    found = RATES.at("HKD", utc(moment))
    assert found == (None if rate is None else Decimal(rate))


def test_segments_are_in_order_whatever_the_order_of_the_file():
    assert RATES.segments("HKD") == (
        (utc("2025-12-31 16:00"), Decimal("7.78")),
        (utc("2026-06-30 16:00"), Decimal("7.80")),
    )


def test_a_dollar_is_a_dollar_always():
    assert RATES.segments("USD") == ((ALWAYS, Decimal(1)),)
    assert RATES.at("USD", utc("1970-01-01 00:00")) == 1
    assert Rates.of({}, "UTC").at("USD", utc("2026-01-01 00:00")) == 1


def test_a_currency_without_rates_has_none():
    assert RATES.segments("EUR") == ()
    assert RATES.at("EUR", utc("2026-01-01 00:00")) is None


def test_a_rate_from_a_day_that_a_zone_left_out_holds_from_the_next():
    rates = Rates.of({"WST": {date(2011, 12, 30): Decimal("2.3")}}, "Pacific/Apia")
    assert rates.segments("WST") == ((utc("2011-12-30 10:00"), Decimal("2.3")),)
