"""Calendars over many zones: periods tile time, and each has a name of its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.budgets.periods import Calendar, Kind, Rolling, first_instant

ZONES = [
    "UTC",
    "Asia/Hong_Kong",
    "Asia/Kolkata",  # half an hour
    "Asia/Kathmandu",  # 45 minutes
    "Australia/Lord_Howe",  # summer time of half an hour
    "Australia/Sydney",  # southern
    "Pacific/Chatham",  # 45 minutes, southern summer time
    "America/Sao_Paulo",  # midnights that do not exist until 2018
    "Asia/Beirut",  # the same, in spring
    "America/Havana",  # midnights that do not exist, and others twice
    "Pacific/Apia",  # 2011-12-30 left out
    "Pacific/Kwajalein",  # 1993-08-21 left out, 1969-09-30 of 47 hours
    "Pacific/Kiritimati",  # 1994-12-31 left out
    "America/St_Johns",  # put back at one minute past midnight until 2011
    "America/Toronto",  # put forward from 23:30 in 1919
    "America/Los_Angeles",
    "Europe/London",  # two hours of summer time in the war
    "Europe/Dublin",  # winter time that is the deviation
    "Europe/Amsterdam",  # odd seconds until 1937
    "Africa/Monrovia",  # 44 minutes 30 until 1972
    "Africa/Casablanca",  # summer time that pauses
    "Asia/Pyongyang",  # half an hour away and back
    "Antarctica/Troll",  # two hours of summer time
]
INSTANT = timedelta(microseconds=1)

moments = st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2199, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
calendars = st.builds(
    Calendar,
    kind=st.sampled_from(get_args(Kind)),
    zone=st.sampled_from(ZONES),
    fiscal_start=st.one_of(
        st.sampled_from([(1, 1), (4, 1), (4, 6), (2, 28), (12, 28)]),
        st.tuples(st.integers(1, 12), st.integers(1, 28)),
    ),
    week_starts=st.sampled_from([0, 5, 6]),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone))


APIA = Calendar("day", "Pacific/Apia")
ST_JOHNS = Calendar("day", "America/St_Johns")


@given(calendars, moments)
@example(APIA, utc("2011-12-30 09:59"))
@example(APIA, utc("2011-12-30 10:00"))
@example(Calendar("month", "Pacific/Kwajalein", (1, 21)), utc("1993-08-21 12:00"))
@example(Calendar("year", "Pacific/Apia", (12, 28)), utc("2011-12-30 10:00"))
@example(ST_JOHNS, utc("2010-11-07 02:31"))
@example(ST_JOHNS, utc("2010-11-07 02:29"))
@example(Calendar("day", "America/Sao_Paulo"), utc("2018-11-04 02:59:59"))
@example(Calendar("day", "Asia/Beirut"), utc("2024-03-30 22:00"))
@example(Calendar("day", "America/Toronto"), utc("1919-03-31 04:45"))
@example(Calendar("month", "UTC"), utc("2028-02-29 23:59"))
def test_every_moment_is_in_a_period_which_meets_its_neighbours(calendar, moment):
    period = calendar.containing(moment)
    assert period.start <= moment < period.end
    after, before = calendar.after(period), calendar.before(period)
    assert (before.end, after.start) == (period.start, period.end)
    assert calendar.before(after) == calendar.after(before) == period
    for inside in (period.start, period.end - INSTANT):
        assert calendar.containing(inside) == period
    assert len({before.name, period.name, after.name}) == 3


@given(calendars, moments)
@example(APIA, utc("2011-12-31 12:00"))
@example(ST_JOHNS, utc("2010-11-07 12:00"))
@example(Calendar("month", "America/Toronto", (1, 28)), utc("1919-03-31 05:00"))
def test_a_period_begins_at_the_first_instant_of_its_first_local_day(calendar, moment):
    start = calendar.containing(moment).start
    begun = local(start, calendar.zone)
    assert local(start - INSTANT, calendar.zone).date() < begun.date()
    if begun.time() != time():  # there is no midnight that day
        midnight = begun.replace(hour=0, minute=0, second=0, fold=0)
        assert midnight.astimezone(UTC).astimezone(begun.tzinfo) != midnight
    skipped = local(start - INSTANT, calendar.zone).date() + timedelta(days=1) < begun.date()
    month, day = calendar.fiscal_start
    if calendar.kind == "week" and not skipped:
        assert begun.weekday() == calendar.week_starts
    if calendar.kind in {"month", "quarter", "year"} and not skipped:
        assert begun.day == day
        months = {"month": 1, "quarter": 3, "year": 12}[calendar.kind]
        assert (begun.month - month) % months == 0


@given(calendars, moments, st.integers(0, 40))
@example(APIA, utc("2011-12-01 00:00"), 40)
@example(Calendar("week", "Pacific/Kwajalein", week_starts=5), utc("1993-08-01 00:00"), 5)
@example(Calendar("month", "America/Los_Angeles", (1, 28)), utc("2027-12-31 00:00"), 14)
def test_a_span_is_covered_once_by_periods_with_names_of_their_own(calendar, moment, periods):
    end = moment
    for _ in range(periods):
        end = calendar.containing(end).end
    found = calendar.spanning(moment, end)
    assert len(found) == periods
    assert [later.start for later in found[1:]] == [earlier.end for earlier in found[:-1]]
    assert not found or (found[0] == calendar.containing(moment) and found[-1].end == end)
    assert len({period.name for period in found}) == periods


@pytest.mark.parametrize("zone", ZONES)
def test_no_two_periods_of_a_generation_have_one_name(zone):
    start, end = utc("1991-01-01 00:00"), utc("2028-12-31 00:00")
    names = [
        period.name
        for calendar in (
            Calendar("day", zone),
            Calendar("week", zone),
            Calendar("week", zone, week_starts=6),
            Calendar("month", zone, (2, 28)),
            Calendar("quarter", zone, (4, 6)),
            Calendar("year", zone, (12, 28)),
        )
        for period in calendar.spanning(start, end)
    ]
    assert len(set(names)) == len(names)


@given(calendars, moments)
def test_what_was_asked_before_changes_no_answer(calendar, moment):
    fresh = Calendar(calendar.kind, calendar.zone, calendar.fiscal_start, calendar.week_starts)
    calendar.containing(moment + timedelta(days=40))
    assert calendar.containing(moment) == fresh.containing(moment)
    assert (calendar, hash(calendar)) == (fresh, hash(fresh))


@given(st.sampled_from(ZONES), st.dates(date(1900, 1, 1), date(2199, 12, 31)))
@example("Pacific/Apia", date(2011, 12, 30))
def test_the_first_instant_of_a_day_is_when_that_day_or_a_later_one_is_first_seen(zone, day):
    start = first_instant(zone, day)
    assert local(start, zone).date() >= day
    hours = [start - timedelta(minutes=10 * step) - INSTANT for step in range(6 * 50)]
    assert all(local(moment, zone).date() < day for moment in hours)


@given(st.integers(1, 100_000).map(lambda count: timedelta(minutes=count)), moments)
def test_the_steps_of_a_rolling_window_cover_it_with_less_than_one_too_much(length, moment):
    window = Rolling(length)
    assert timedelta() <= window.slots * window.step - length < window.step
    assert window.step % timedelta(minutes=1) == timedelta()
    assert window.step == timedelta(minutes=1) or window.step * 60 <= length
    begun = window.start_of(window.slot(moment))
    assert begun <= moment < begun + window.step
    assert window.start_of(window.slot(moment) + 1) == begun + window.step
