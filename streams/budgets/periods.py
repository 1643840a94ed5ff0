"""The periods that budgets run over: days to years of a time zone, and windows that roll.

Periods of one calendar tile time: they leave nothing out and never overlap. One begins at the first
instant of its first local day: at midnight, or later where the zone has no midnight that day, or no
such day at all. Instants are UTC; every moment must be aware. Years from 2 to 9997.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

Kind = Literal["day", "week", "month", "quarter", "year"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)

_MONTHS: dict[Kind, int] = {"month": 1, "quarter": 3, "year": 12}
_CACHED = 10_000
"""Periods that a calendar keeps: whoever asks for more of the past starts over."""


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` up to, not including, ``end``; UTC. ``name`` is one period's in a calendar."""

    start: datetime
    end: datetime
    name: str

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


@dataclass(frozen=True)
class Calendar:
    """Periods of one kind in an IANA time zone.

    ``fiscal_start`` is the month and day (1 to 28) that years begin on, and thereby quarters and
    months: with (4, 6) months run from the 6th to the 6th. ``week_starts`` is a weekday, 0 Monday.

    Names: `2026-11-23`, `2026-W48` (ISO, where weeks start on Monday; else `week of 2026-11-22`),
    `2026-11`, `2026-Q4`, `2026`. A month is named by the calendar month that it begins in. Where
    years do not begin on 1 January they are fiscal: `FY2026` and `FY2026-Q3`, by the calendar year
    in which the fiscal year ends, that is, which its last day is in.
    """

    kind: Kind
    zone: str
    fiscal_start: tuple[int, int] = (1, 1)
    week_starts: int = 0
    _periods: dict[date, Period] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _newest: list[Period] = field(default_factory=list, init=False, repr=False, compare=False)
    """The one that was asked for last, which is nearly always asked for next."""

    def __post_init__(self) -> None:
        month, day = self.fiscal_start
        if not (1 <= month <= 12 and 1 <= day <= 28):
            raise ValueError(f"{self.fiscal_start} is no month and day from 1 to 28")
        if self.week_starts not in range(7):
            raise ValueError(f"{self.week_starts} is no weekday from 0 to 6")

    def containing(self, moment: datetime) -> Period:
        """The period that the moment is in."""
        for newest in self._newest:
            if moment in newest:
                return newest
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no time zone")
        first = self._first_day(moment.astimezone(ZoneInfo(self.zone)).date())
        period = self._period(first)
        # A clock that is put back over midnight shows the old day again, after the new one began.
        while moment >= period.end:
            first = self._move(first, 1)
            period = self._period(first)
        self._newest[:] = [period]
        return period

    def after(self, period: Period) -> Period:
        """The period that follows."""
        return self.containing(period.end)

    def before(self, period: Period) -> Period:
        """The period that comes before."""
        return self.containing(period.start - INSTANT)

    def spanning(self, start: datetime, end: datetime) -> list[Period]:
        """The periods that have a part of [start, end), in order; none where that is empty."""
        periods: list[Period] = []
        while start < end:
            periods.append(self.containing(start))
            start = periods[-1].end
        return periods

    def _period(self, first: date) -> Period:
        """The period whose first local day is ``first``. Empty where that is a day left out."""
        period = self._periods.get(first)
        if period is None:
            start = first_instant(self.zone, first)
            end = first_instant(self.zone, self._move(first, 1))
            if len(self._periods) >= _CACHED:
                self._periods.clear()
            period = self._periods[first] = Period(start, end, self._name(first))
        return period

    def _first_day(self, day: date) -> date:
        if self.kind == "day":
            return day
        if self.kind == "week":
            return day - DAY * ((day.weekday() - self.week_starts) % 7)
        month, start = self.fiscal_start
        months = _month_number(day) - (day.day < start)
        return _day(months - (months + 1 - month) % _MONTHS[self.kind], start)

    def _move(self, first: date, periods: int) -> date:
        if self.kind in _MONTHS:
            return _day(_month_number(first) + periods * _MONTHS[self.kind], first.day)
        return first + DAY * periods * (7 if self.kind == "week" else 1)

    def _name(self, first: date) -> str:
        if self.kind == "day":
            return first.isoformat()
        if self.kind == "week":
            year, week, _ = first.isocalendar()
            return f"week of {first}" if self.week_starts else f"{year:04}-W{week:02}"
        if self.kind == "month":
            return f"{first:%Y-%m}"
        month, start = self.fiscal_start
        begun = _month_number(first)
        since = (begun + 1 - month) % 12
        last_day = _day(begun - since + 12, start) - DAY
        name = f"{'' if self.fiscal_start == (1, 1) else 'FY'}{last_day.year:04}"
        return name if self.kind == "year" else f"{name}-Q{since // 3 + 1}"


@dataclass(frozen=True)
class Rolling:
    """A window of this length that ends now, moved in steps of a 60th of it, in whole minutes.

    It is as long as said, or longer by less than a step where that is no multiple of steps.
    """

    length: timedelta

    def __post_init__(self) -> None:
        if self.length < MINUTE or self.length % MINUTE:
            raise ValueError(f"{self.length} is no whole number of minutes")

    @property
    def step(self) -> timedelta:
        """A 60th of the length, rounded down to whole minutes, at least one."""
        return max(MINUTE, self.length // 60 // MINUTE * MINUTE)

    @property
    def slots(self) -> int:
        """How many steps make the window."""
        return -(-self.length // self.step)

    def slot(self, moment: datetime) -> int:
        """The number of the step that the moment is in, counted from 1970-01-01 UTC."""
        return (moment - EPOCH) // self.step

    def start_of(self, slot: int) -> datetime:
        """When this step begins, UTC."""
        return EPOCH + slot * self.step


@lru_cache(maxsize=_CACHED)
def first_instant(zone: str, day: date) -> datetime:
    """When the local date becomes ``day`` for the first time, or a later one; UTC.

    Of two midnights, where a clock is put back, the first.
    """
    local = ZoneInfo(zone)
    # A midnight that does not exist is read by the offset before: when the clocks jump, if they
    # jump from midnight.
    midnight = datetime.combine(day, time(), local).astimezone(UTC)
    if (midnight - INSTANT).astimezone(local).date() < day:
        return midnight
    # They jump over it, from the evening before.
    early, late = midnight - 2 * DAY, midnight
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        early, late = (middle, late) if middle.astimezone(local).date() < day else (early, middle)
    return late.replace(microsecond=0)


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


def _day(month_number: int, day: int) -> date:
    return date(month_number // 12, month_number % 12 + 1, day)
