"""How a budget cuts time: into its periods, and these where an exchange rate changes; or steps.

A stretch is named by its start in Unix seconds. Everything in it is added up as integers, and turns
into the budget's unit at one rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from streams.budgets.exchange import Segments
from streams.budgets.periods import Calendar, Period, Rolling


@dataclass(frozen=True, slots=True)
class Stretches:
    """The stretches of one budget: ``window`` is what it is for, ``segments`` its currency's."""

    window: Calendar | Rolling
    segments: Segments = ()

    def of(self, moment: datetime) -> int:
        """The stretch that the moment is in."""
        if isinstance(self.window, Rolling):
            return _seconds(self.window.start_of(self.window.slot(moment)))
        start = self.window.containing(moment).start
        changes = (at for at, _ in self.segments if start < at <= moment)
        return _seconds(max(changes, default=start))

    def between(self, first: datetime, last: datetime) -> list[int]:
        """The stretches of these moments and all between them, in order."""
        if isinstance(self.window, Rolling):
            step = _seconds_of(self.window.step)
            return list(range(self.of(first), self.of(last) + 1, step))
        periods = self.window.spanning(first, last + timedelta(seconds=1))
        starts = {_seconds(period.start) for period in periods}
        for at, _ in self.segments:
            if periods[0].start < at <= last:
                starts.add(_seconds(at))
        return sorted(starts)

    def period(self, stretch: int) -> Period:
        """The period that the stretch belongs to. For calendars only."""
        assert isinstance(self.window, Calendar)  # noqa: S101 - said above
        return self.window.containing(moment_of(stretch))

    def in_period(self, period: Period) -> list[int]:
        """The stretches that make the period."""
        return self.between(period.start, period.end - timedelta(seconds=1))

    def in_window(self, now: datetime) -> list[int]:
        """The steps that make the rolling window that ends with the one ``now`` is in."""
        assert isinstance(self.window, Rolling)  # noqa: S101 - rolling budgets only
        newest, step = self.of(now), _seconds_of(self.window.step)
        return list(range(newest - (self.window.slots - 1) * step, newest + 1, step))

    def loaded_from(self, now: datetime) -> datetime:
        """What a start looks at: this period and the one before; two windows."""
        if isinstance(self.window, Rolling):
            return now - 2 * self.window.length
        return self.window.before(self.window.containing(now)).start

    def rate(self, stretch: int) -> Decimal | None:
        """Units of the budget for a dollar in this stretch; None where no rate is known yet."""
        rate = None
        for at, value in self.segments:
            if at <= moment_of(stretch):
                rate = value
        return rate

    def sql(self, first: datetime, last: datetime) -> tuple[str, dict[str, object]]:
        """The stretch of the column ``minute``, as an expression and what it is bound to; for
        minutes between these two."""
        if isinstance(self.window, Rolling):
            return (
                "toInt64(intDiv(toUnixTimestamp(minute), {step:UInt32}) * {step:UInt32})",
                {"step": _seconds_of(self.window.step)},
            )
        starts = self.between(first, last)
        # With one element roundDown has nothing to choose from; the end is never reached.
        bound = [*starts, starts[-1] + 10 * 366 * 86400] if len(starts) == 1 else starts
        return (
            "toInt64(roundDown(toUnixTimestamp(minute), {starts:Array(UInt32)}))",
            {"starts": bound},
        )


def moment_of(stretch: int) -> datetime:
    """When the stretch begins, UTC."""
    return datetime.fromtimestamp(stretch, UTC)


def stretch_map(stretches: Stretches, seconds: Iterable[int]) -> dict[int, int]:
    """Moment to stretch, both in Unix seconds."""
    return {moment: stretches.of(moment_of(moment)) for moment in seconds}


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _seconds_of(length: timedelta) -> int:
    return int(length.total_seconds())
