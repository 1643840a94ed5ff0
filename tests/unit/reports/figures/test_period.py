"""Periods: what they are compared with, and which of their days are over."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.figures.period import Period, presets
from schemas.errors import UserError

DAYS = st.dates(date(2020, 1, 1), date(2030, 12, 31))


def period(first: str, last: str) -> Period:
    return Period.of(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (("2026-11-01", "2026-11-30"), ("2026-10-01", "2026-10-31")),
        (("2026-11-01", "2026-11-12"), ("2026-10-01", "2026-10-12")),
        (("2026-03-01", "2026-03-30"), ("2026-02-01", "2026-02-28")),
        (("2026-01-01", "2026-01-31"), ("2025-12-01", "2025-12-31")),
        (("2026-11-10", "2026-11-16"), ("2026-11-03", "2026-11-09")),
        (("2026-10-15", "2026-11-14"), ("2026-09-14", "2026-10-14")),
    ],
)
def test_a_period_is_compared_with_the_like_of_it_before(now, before):
    assert period(*now).previous == period(*before)


@given(DAYS, st.integers(0, 400))
def test_the_period_before_ends_before_and_is_not_longer(first, more):
    now = Period(first, first + timedelta(days=more))
    assert now.previous.last < now.first
    whole_month = now.month is not None and now.last == now.month.last
    assert now.previous.days <= now.days or whole_month


def test_only_days_that_are_over_are_whole():
    november = period("2026-11-01", "2026-11-30")
    assert november.whole_days(date(2026, 11, 1)) is None
    assert november.whole_days(date(2026, 11, 3)) == period("2026-11-01", "2026-11-02")
    assert november.whole_days(date(2027, 1, 1)) == november


def test_presets_end_today_and_include_it():
    found = presets(date(2026, 3, 5))
    assert found["This month"] == period("2026-03-01", "2026-03-05")
    assert found["Last month"] == period("2026-02-01", "2026-02-28")
    assert found["Last 7 days"].days == 7
    assert found["Last 30 days"].last == date(2026, 3, 5)


def test_days_the_wrong_way_round_are_a_mistake_that_says_what_to_do():
    with pytest.raises(UserError, match="exchange them"):
        period("2026-11-02", "2026-11-01")
