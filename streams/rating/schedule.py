"""The schedule: which rate card holds at which minute.

Prices change on days (a new price list) and, at a few providers, within the day (off-peak hours).
Both are known beforehand, so the cards of a model are compiled once and only looked up afterwards.
All times are UTC; the resolution is one minute, and a price that starts within one is refused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from streams.rating.cards import RateCard

MINUTES_PER_DAY = 1440
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Start of the first period of every schedule: no event of the contract is older."""


def minute_of(at: datetime) -> int:
    """Whole minutes since the epoch. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no zone")
    return (at - EPOCH) // timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Window:
    """The card (None: unpriced) that holds from ``start``, in minutes of the UTC day."""

    start: int
    card: RateCard | None


@dataclass(frozen=True, slots=True)
class Period:
    """What holds from ``start``, in minutes since the epoch. The first window starts at 0."""

    start: int
    windows: tuple[Window, ...]

    def card_at(self, minute: int) -> RateCard | None:
        """The card at a minute since the epoch."""
        day_minute = minute % MINUTES_PER_DAY
        return self.windows[self._index(day_minute)].card

    def hours_at(self, minute: int) -> str | None:
        """The hours of the UTC day around that minute with the same card; None: all day."""
        if len(self.windows) == 1:
            return None
        card = self.card_at(minute)
        index = self._index(minute % MINUTES_PER_DAY)
        # The last window of a day and the first one of the next are often one.
        first, last = index, index + 1
        if index == 0 and self.windows[-1].card == card:
            first = len(self.windows) - 1
        if last == len(self.windows):
            last = 1 if self.windows[0].card == card else 0
        opens, closes = self.windows[first].start, self.windows[last].start
        return f"{opens // 60:02}:{opens % 60:02}-{closes // 60:02}:{closes % 60:02} UTC"

    def _index(self, day_minute: int) -> int:
        return bisect_right(self.windows, day_minute, key=lambda window: window.start) - 1


@dataclass(frozen=True, slots=True)
class Schedule:
    """Periods in order of time; the first one starts at the epoch."""

    periods: tuple[Period, ...]

    def card_at(self, minute: int) -> RateCard | None:
        """The card at a minute since the epoch; None where the model is unpriced then."""
        return self.periods[self._index(minute)].card_at(minute)

    def validity_at(self, minute: int) -> tuple[datetime | None, datetime | None]:
        """From when until when the prices of that minute hold; None: open."""
        index = self._index(minute)
        start = self.periods[index].start
        following = self.periods[index + 1 : index + 2]
        return (
            EPOCH + timedelta(minutes=start) if start else None,
            EPOCH + timedelta(minutes=following[0].start) if following else None,
        )

    def hours_at(self, minute: int) -> str | None:
        """See `Period.hours_at`."""
        return self.periods[self._index(minute)].hours_at(minute)

    def _index(self, minute: int) -> int:
        return max(0, bisect_right(self.periods, minute, key=lambda period: period.start) - 1)


UNPRICED = Schedule((Period(0, (Window(0, None),)),))


def compile_schedule(
    starts: Iterable[datetime],
    day_minutes: Iterable[int],
    card_at: Callable[[datetime], RateCard | None],
) -> Schedule:
    """Ask ``card_at`` once between any two instants at which its answer may change.

    ``starts`` and ``day_minutes`` name those: aware instants, and minutes of the UTC day.
    """
    window_starts = sorted({0, *day_minutes})
    window_ends = [*window_starts[1:], MINUTES_PER_DAY]
    periods: list[Period] = []
    for start in sorted({0, *map(minute_of, starts)}):
        day = start - start % MINUTES_PER_DAY
        windows: list[Window] = []
        for opens, closes in zip(window_starts, window_ends, strict=True):
            # A period may start within a day: a window that is over by then comes the day after.
            inside = max(start, day + opens)
            if inside >= day + closes:
                inside = day + MINUTES_PER_DAY + opens
            card = card_at(EPOCH + timedelta(minutes=inside))
            if not windows or windows[-1].card != card:
                windows.append(Window(opens, card))
        if not periods or periods[-1].windows != tuple(windows):
            periods.append(Period(start, tuple(windows)))
    return Schedule(tuple(periods))
