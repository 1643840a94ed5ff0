"""Periods by example: names, fiscal years, and days that are not as long as others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streams.budgets.periods import Calendar, Rolling


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("calendar", "moment", "name", "start", "end"),
    [
        (Calendar("day", "UTC"), "2026-11-23 10:00", "2026-11-23", "2026-11-23", "2026-11-24"),
        (Calendar("week", "UTC"), "2026-11-23 00:00", "2026-W48", "2026-11-23", "2026-11-30"),
        (Calendar("week", "UTC"), "2027-01-03 00:00", "2026-W53", "2026-12-28", "2027-01-04"),
        (
            Calendar("week", "UTC", week_starts=6),
            *("2026-11-23 00:00", "week of 2026-11-22", "2026-11-22", "2026-11-29"),
        ),
        (
            Calendar("week", "UTC", week_starts=5),
            *("2026-11-23 00:00", "week of 2026-11-21", "2026-11-21", "2026-11-28"),
        ),
        (Calendar("month", "UTC"), "2028-02-29 12:00", "2028-02", "2028-02-01", "2028-03-01"),
        (
            Calendar("month", "Asia/Hong_Kong"),
            *("2026-11-23 10:00", "2026-11", "2026-10-31 16:00", "2026-11-30 16:00"),
        ),
        (Calendar("quarter", "UTC"), "2026-11-23 10:00", "2026-Q4", "2026-10-01", "2027-01-01"),
        (Calendar("year", "UTC"), "2026-11-23 10:00", "2026", "2026-01-01", "2027-01-01"),
        (
            Calendar("year", "UTC", (4, 1)),
            *("2026-11-23 10:00", "FY2027", "2026-04-01", "2027-04-01"),
        ),
        (
            Calendar("quarter", "UTC", (4, 1)),
            *("2026-11-23 10:00", "FY2027-Q3", "2026-10-01", "2027-01-01"),
        ),
        (
            Calendar("month", "UTC", (4, 1)),
            "2026-04-05 10:00",
            "2026-04",
            "2026-04-01",
            "2026-05-01",
        ),
        (
            Calendar("month", "UTC", (4, 6)),
            "2026-04-05 10:00",
            "2026-03",
            "2026-03-06",
            "2026-04-06",
        ),
        (
            Calendar("quarter", "UTC", (4, 6)),
            *("2026-04-05 23:59", "FY2026-Q4", "2026-01-06", "2026-04-06"),
        ),
        (
            Calendar("year", "UTC", (1, 2)),
            *("2026-01-01 10:00", "FY2026", "2025-01-02", "2026-01-02"),
        ),
        (
            Calendar("day", "Pacific/Apia"),  # there is no 30 December 2011
            *("2011-12-30 09:59", "2011-12-29", "2011-12-29 10:00", "2011-12-30 10:00"),
        ),
        (
            Calendar("day", "Pacific/Apia"),
            *("2011-12-30 10:00", "2011-12-31", "2011-12-30 10:00", "2011-12-31 10:00"),
        ),
        (
            Calendar("day", "America/Sao_Paulo"),  # it begins at one o'clock
            *("2018-11-04 12:00", "2018-11-04", "2018-11-04 03:00", "2018-11-05 02:00"),
        ),
        (
            Calendar("day", "America/New_York"),  # 25 hours
            *("2026-11-01 12:00", "2026-11-01", "2026-11-01 04:00", "2026-11-02 05:00"),
        ),
        (
            Calendar("day", "America/Toronto"),  # from 23:30 to half past midnight
            *("1919-03-31 12:00", "1919-03-31", "1919-03-31 04:30", "1919-04-01 04:00"),
        ),
        (
            Calendar("day", "America/St_Johns"),  # 00:01 became 23:01 of the day before
            *("2010-11-07 02:45", "2010-11-07", "2010-11-07 02:30", "2010-11-08 03:30"),
        ),
    ],
)
def test_a_moment_is_in_the_period_that_its_zone_says(calendar, moment, name, start, end):
    period = calendar.containing(utc(moment))
    assert (period.name, period.start, period.end) == (name, utc(start), utc(end))
    assert utc(moment) in period
    assert utc(end) not in period


def test_a_moment_of_any_zone_is_the_same_moment():
    moment = datetime.fromisoformat("2026-12-01T00:30+08:00")
    assert Calendar("month", "UTC").containing(moment).name == "2026-11"


def test_a_span_takes_in_what_it_touches_and_an_empty_one_nothing():
    months = Calendar("month", "UTC")
    found = months.spanning(utc("2026-01-31 23:59"), utc("2026-03-01 00:00"))
    assert [period.name for period in found] == ["2026-01", "2026-02"]
    assert months.spanning(utc("2026-03-01"), utc("2026-03-01")) == []


def test_what_is_no_calendar_is_refused():
    with pytest.raises(ValueError, match="has no time zone"):
        Calendar("month", "UTC").containing(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake
    with pytest.raises(ValueError, match="no month and day from 1 to 28"):
        Calendar("year", "UTC", (1, 29))
    with pytest.raises(ValueError, match="no weekday"):
        Calendar("week", "UTC", week_starts=7)
    for length in (timedelta(seconds=90), timedelta()):
        with pytest.raises(ValueError, match="no whole number of minutes"):
            Rolling(length)


@pytest.mark.parametrize(
    ("length", "minutes", "slots"),
    [
        (timedelta(days=7), 168, 60),
        (timedelta(hours=24), 24, 60),
        (timedelta(hours=1), 1, 60),
        (timedelta(minutes=90), 1, 90),
        (timedelta(minutes=121), 2, 61),
        (timedelta(minutes=1), 1, 1),
    ],
)
def test_a_window_moves_in_sixtieths_of_whole_minutes(length, minutes, slots):
    window = Rolling(length)
    assert (window.step, window.slots) == (timedelta(minutes=minutes), slots)


def test_steps_are_counted_from_the_epoch():
    day = Rolling(timedelta(hours=24))
    assert day.slot(utc("1970-01-01 00:23:59")) == 0
    assert day.slot(utc("1970-01-01 00:24:00")) == 1
    assert day.slot(utc("1969-12-31 23:59:59")) == -1
    assert day.start_of(60) == utc("1970-01-02")
