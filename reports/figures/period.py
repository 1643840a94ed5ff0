"""Whole days, UTC, and what they are compared with."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from schemas.errors import UserError

_LONGEST = 1100
"""Days; three years. A typing error in a year would ask for thousands."""


@dataclass(frozen=True, slots=True)
class Period:
    """From ``first`` through ``last``, both included."""

    first: date
    last: date

    @classmethod
    def of(cls, first: date, last: date) -> Self:
        """Raises UserError where the days are the wrong way round, or too many."""
        if last < first:
            raise UserError(f"to: {last} is before from {first}; exchange them")
        if (last - first).days >= _LONGEST:
            raise UserError(f"from: {first} to {last} is more than three years; choose fewer days")
        return cls(first, last)

    @classmethod
    def month_of(cls, day: date) -> Self:
        """The whole month that the day is in."""
        return cls(day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1]))

    @classmethod
    def ending(cls, last: date, days: int) -> Self:
        """So many days, the last of which is ``last``."""
        return cls(last - timedelta(days=days - 1), last)

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def month(self) -> Period | None:
        """The whole month, where the period begins with one and does not leave it."""
        whole = Period.month_of(self.first)
        return whole if self.first.day == 1 and self.last <= whole.last else None

    @property
    def previous(self) -> Period:
        """What it is compared with: of a month the same days of the month before, and of a whole
        month all of it; else as many days right before."""
        if (month := self.month) is None:
            return Period.ending(self.first - timedelta(days=1), self.days)
        before = Period.month_of(self.first - timedelta(days=1))
        if self.last == month.last:
            return before
        return Period(before.first, min(before.last, before.first + timedelta(days=self.days - 1)))

    def whole_days(self, today: date) -> Period | None:
        """Those of its days that are over; None where none is."""
        last = min(self.last, today - timedelta(days=1))
        return Period(self.first, last) if last >= self.first else None

    def __str__(self) -> str:
        return str(self.first) if self.days == 1 else f"{self.first} to {self.last}"


def presets(today: date) -> dict[str, Period]:
    """The periods that are one click away, by their names."""
    month = Period.month_of(today)
    return {
        "This month": Period(month.first, today),
        "Last month": Period.month_of(month.first - timedelta(days=1)),
        "Last 7 days": Period.ending(today, 7),
        "Last 30 days": Period.ending(today, 30),
    }
