from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.amounts import amount_text, bar, duration_text, limit_text, number_text, percent


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        ("0", "USD", "$0.00"),
        ("41.2", "USD", "$41.20"),
        ("1234567.891", "USD", "$1,234,567.89"),
        ("99999999999999999999999999.99", "USD", "$99,999,999,999,999,999,999,999,999.99"),
        ("0.5", "USD", "$0.50"),
        ("0.4123", "USD", "$0.412"),
        ("0.004", "USD", "$0.004"),
        ("0.00412345", "USD", "$0.00412"),
        ("0.9999", "USD", "$1.00"),
        ("0.000000000001", "USD", "$0.000000000001"),
        ("0.0000000000001", "USD", "under $0.000000000001"),
        ("-0.25", "USD", "-$0.25"),
        ("1234.5", "HKD", "HK$1,234.50"),
        ("12", "CHF", "CHF 12.00"),
        ("3", "EUR", "€3.00"),
        ("150000.4", "JPY", "JPY 150,000"),
        ("3.1", "USD an hour", "$3.10 an hour"),
        ("27", "calls", "27 calls"),
        ("12345", "events", "12,345 events"),
        ("2.5", "calls a minute", "2.5 calls a minute"),
        ("0.0012", "%", "0.0012 %"),
        ("48210339", "tokens", "48.2 M tokens"),
    ],
)
def test_amounts_are_exact_and_readable(amount: str, unit: str, text: str) -> None:
    assert amount_text(Decimal(amount), unit) == text


@pytest.mark.parametrize(
    ("limit", "unit", "text"),
    [
        ("1500.00", "USD", "$1,500"),
        ("1500.50", "USD", "$1,500.50"),
        ("0", "USD", "$0"),
        ("24", "HKD a day", "HK$24 a day"),
        ("20", "calls", "20 calls"),
    ],
)
def test_a_limit_has_cents_only_where_it_has_some(limit: str, unit: str, text: str) -> None:
    assert limit_text(Decimal(limit), unit) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("999999", "999,999"),
        ("1000000", "1 M"),
        ("49999999", "49.9 M"),
        ("50000000", "50 M"),
        ("999999999", "999 M"),
        ("1239999999", "1.23 B"),
        ("-1500000", "-1.5 M"),
    ],
)
def test_large_numbers_are_short_and_never_rounded_up(number: str, text: str) -> None:
    assert number_text(Decimal(number)) == text


@given(st.decimals(min_value="1e-18", max_value="1e26", allow_nan=False, allow_infinity=False))
def test_a_positive_amount_never_reads_as_zero(amount: Decimal) -> None:
    shown = amount_text(amount, "USD")
    assert re.search("[1-9]", shown)
    assert re.search("[1-9]", number_text(amount))
    number = Decimal(shown.removeprefix("under ").removeprefix("$").replace(",", ""))
    if not shown.startswith("under"):
        assert abs(number - amount) <= max(amount / 200, Decimal("1e-12"))


@pytest.mark.parametrize(
    ("value", "limit", "cells", "share"),
    [
        ("49.999999", "50", "▓▓▓▓▓▓▓▓▓░", "99 %"),
        ("49.999999999999999999999999999999999999", "50", "▓▓▓▓▓▓▓▓▓░", "99 %"),
        ("50", "50", "▓▓▓▓▓▓▓▓▓▓", "100 %"),
        ("40.5", "50", "▓▓▓▓▓▓▓▓░░", "81 %"),
        ("0.01", "50", "░░░░░░░░░░", "under 1 %"),
        ("0", "50", "░░░░░░░░░░", "0 %"),
        ("600", "50", "▓▓▓▓▓▓▓▓▓▓", "1,200 %"),
    ],
)
def test_a_bar_is_full_only_when_the_limit_is_reached(
    value: str, limit: str, cells: str, share: str
) -> None:
    assert bar(Decimal(value), Decimal(limit)) == cells
    assert percent(Decimal(value), Decimal(limit)) == share


@pytest.mark.parametrize(("value", "limit"), [("5", "0"), ("-5", "50"), ("5", "-1")])
def test_there_is_no_share_where_it_would_mean_nothing(value: str, limit: str) -> None:
    assert bar(Decimal(value), Decimal(limit)) is None
    assert percent(Decimal(value), Decimal(limit)) is None


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0, "under a minute"),
        (41, "41 min"),
        (60, "1 h"),
        (192, "3 h 12 min"),
        (1440, "1 day"),
        (1500, "1 day 1 h"),
        (2880 + 250, "2 days 4 h"),
        (11 * 1440 + 300, "11 days"),
    ],
)
def test_a_duration_is_as_exact_as_a_reader_needs(minutes: int, text: str) -> None:
    assert duration_text(timedelta(minutes=minutes)) == text
