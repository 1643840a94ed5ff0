from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streams.rating.cards import Level, PriceSource, RateCard
from streams.rating.schedule import compile_schedule, minute_of

DAY = datetime(2026, 5, 1, tzinfo=UTC)


def card(name: str) -> RateCard:
    return RateCard.of(name, "standard", [Level(None, {})], PriceSource("test"))


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no zone"):
        minute_of(datetime(2026, 5, 1))  # noqa: DTZ001 - the mistake under test


def test_equal_neighbours_are_one_period():
    same = card("same")
    schedule = compile_schedule([DAY, DAY + timedelta(days=3)], [60], lambda at: same)
    assert len(schedule.periods) == 1
    assert len(schedule.periods[0].windows) == 1


def test_a_period_that_starts_within_a_day_has_the_windows_of_its_own_time():
    start, end = DAY + timedelta(hours=10), DAY + timedelta(hours=14)

    def price_at(at: datetime) -> RateCard:
        if not start <= at < end:
            return card("outside")
        return card("noon") if at.hour >= 12 else card("morning")

    schedule = compile_schedule([start, end], [12 * 60], price_at)
    names = {
        hours: schedule.card_at(minute_of(DAY + timedelta(hours=hours))).price_ref
        for hours in (9, 10, 11, 12, 13, 14, 34, 36)
    }
    assert names == {
        9: "outside",
        10: "morning",
        11: "morning",
        12: "noon",
        13: "noon",
        14: "outside",
        34: "outside",
        36: "outside",
    }


def test_a_window_that_is_over_when_its_period_starts_counts_from_the_day_after():
    start = DAY + timedelta(hours=14)

    def price_at(at: datetime) -> RateCard:
        if at < start:
            return card("old")
        return card("noon") if at.hour >= 12 else card("morning")

    schedule = compile_schedule([start], [12 * 60], price_at)
    names = [
        schedule.card_at(minute_of(DAY + timedelta(hours=hours))).price_ref
        for hours in (8, 13, 14, 23, 24, 35, 36)
    ]
    assert names == ["old", "old", "noon", "noon", "morning", "morning", "noon"]


def test_the_hours_of_a_window_around_midnight_are_told_as_one():
    night, day = card("night"), card("day")
    schedule = compile_schedule([], [30, 990], lambda at: day if 0.5 <= _hour(at) < 16.5 else night)
    told = {hour: schedule.hours_at(minute_of(DAY + timedelta(hours=hour))) for hour in (0, 1, 23)}
    assert told == {0: "16:30-00:30 UTC", 1: "00:30-16:30 UTC", 23: "16:30-00:30 UTC"}


def test_validity_is_open_at_both_ends():
    schedule = compile_schedule([DAY], [], lambda at: card("new" if at >= DAY else "old"))
    assert schedule.validity_at(minute_of(DAY) - 1) == (None, DAY)
    assert schedule.validity_at(minute_of(DAY)) == (DAY, None)


def _hour(at: datetime) -> float:
    return at.hour + at.minute / 60
