"""How fast budgets are used: burn rates, forecasts, and the alerts that come before a threshold.

Burn rate: how many times faster than evenly over the period a budget is used. As in the SRE
workbook (https://sre.google/workbook/alerting-on-slos/, table 5-8) a long window says that it
matters and a short one that it still goes on: 14.4 times over an hour and five minutes (2 % of a
month in an hour) is level 2, 6 times over six hours and thirty minutes (5 % in six hours) level 1.

Forecast: what is used, plus the average of the last seven days (of the time since the first call,
where that is shorter) for what is left of the period. A whole week, so that its days weigh alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from schemas.alerts import Alert
from sinks.clickhouse import ClickHouse
from streams.budgets.announce import burn_alert, forecast_alert
from streams.budgets.budgets import Budgets
from streams.budgets.counters import Counters, Member
from streams.budgets.periods import Rolling
from streams.budgets.spent import EXACT, Spent
from streams.detectors.series import Key, Series, Shadows, newest_minute
from streams.guard.concern import Accepted, AsOf

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FINE, COARSE = 5 * MINUTE, HOUR
FINE_KEPT, COARSE_KEPT = 73, 7 * 24 + 1
"""Slots: six hours of five minutes, seven days of hours, and the one that is under way."""
FAST = (HOUR, 5 * MINUTE, Decimal("14.4"), 2)
SLOW = (6 * HOUR, 30 * MINUTE, Decimal(6), 1)
EVALUATED_EVERY = 5
"""Seconds of event time: a forecast does not have to be younger."""
TREND_STEP = 6
"""Hours between the points of a chart."""
EASED = 90
"""Percent of the limit under which a forecast is no warning any more: no to and fro around it."""
BEGUN = 20
"""A forecast warns once a twentieth of the period is over: a day and a half of a month. Before, it
is the week of another period that speaks, and whoever acted on the last warning is warned anew."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where a member of a budget is heading, in the budget's unit. Times are UTC."""

    spent: Spent
    hourly: Decimal
    """Average of the time that the forecast rests on."""
    rests_on: timedelta
    forecast: Decimal
    """What will have been used at the end of the period."""
    breach: datetime | None
    """When the limit is reached at this pace, if in this period; now, where it already is."""


class Pace:
    """Follows how fast the members of ``budgets`` spend; not rolling windows, which have no end."""

    name = "pace"

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._followed = [
            _Followed(counters)
            for counters in budgets.counters_of
            if not isinstance(counters.stretches.window, Rolling)
        ]
        self._warned: set[tuple[frozenset[tuple[str, str]], str]] = set()
        """Scope and period of those whose forecast is above the limit."""
        self._next: datetime | None = None

    def fresh(self) -> Pace:
        """The same with nothing counted yet."""
        return Pace(self._budgets)

    def remember(self, alert: Alert) -> None:
        """Take note of a forecast that was announced before."""
        if alert.rule == "forecast" and alert.transition != "resolved":
            self._warned.add((frozenset(alert.scope.items()), alert.period))

    def load(self, clickhouse: ClickHouse, at: AsOf, now: datetime) -> None:
        """The last days of the ledger, as of the position."""
        newest = newest_minute(clickhouse, at, now)
        for followed in self._followed:
            followed.changed |= followed.fine.load(clickhouse, at, newest).keys()
            followed.coarse.load(clickhouse, at, newest)

    def apply(self, entry: Accepted) -> None:
        """Add an entry's rows."""
        for followed in self._followed:
            followed.fine.add_rows(entry.rows)
            followed.changed |= followed.coarse.add_rows(entry.rows).keys()

    def alerts(self, at: AsOf, now: datetime) -> Iterable[Alert]:
        """Burn rates and forecasts of those who have spent something, every few seconds."""
        if self._next is not None and now < self._next:
            return
        self._next = now + timedelta(seconds=EVALUATED_EVERY)
        for followed in self._followed:
            # What burns has to be looked at until it does not: nobody may spend any more.
            changed = followed.changed | followed.burning
            followed.changed = set()
            for key in sorted(changed, key=str):
                member = tuple(str(name) for name in key)
                yield from self._judge(followed, member, at, now)

    def counters(self) -> Mapping[str, int]:
        """Every sum that is kept."""
        return {
            f"{followed.counters.budget.name} {name}": value
            for followed in self._followed
            for series in (followed.fine, followed.coarse)
            for name, value in series.counters().items()
        }

    def outlook(self, spent: Spent, now: datetime) -> Outlook | None:
        """Where this is heading; None for rolling windows, and where nothing was spent lately."""
        for followed in self._followed:
            if followed.counters.budget.name == spent.budget.name:
                return followed.outlook(spent, now)
        return None

    def trend(self, spent: Spent, now: datetime) -> tuple[Decimal, ...]:
        """What a member has used of its period so far, every six hours of the last seven days."""
        for followed in self._followed:
            if followed.counters.budget.name == spent.budget.name:
                return followed.trend(spent, now)
        return ()

    def _judge(
        self, followed: _Followed, member: Member, at: AsOf, now: datetime
    ) -> Iterator[Alert]:
        counters = followed.counters
        period = counters.stretches.period(counters.stretches.of(now))
        spent = self._budgets.spent(counters, member, period)
        outlook = None if spent is None else followed.outlook(spent, now)
        if spent is None or outlook is None:
            return
        budget = counters.budget
        if budget.watches_burn_rate:
            level, fastest = followed.burn(spent, now)
            holds = level > 0 and outlook.spent.used < spent.limit
            if holds or member in followed.burning:
                (followed.burning.add if holds else followed.burning.discard)(member)
                yield burn_alert(spent, outlook.breach, level, fastest, holds, at, now)
        length = period.end - period.start
        begun = now - period.start >= length / BEGUN
        if budget.forecast and begun and outlook.rests_on >= min(3 * DAY, length / 4):
            known = (spent.scope, period.name) in self._warned
            floor = spent.limit * (EASED if known else 100) / 100
            holds = outlook.forecast > floor
            if holds or known:
                (self._warned.add if holds else self._warned.discard)((spent.scope, period.name))
                yield forecast_alert(spent, outlook.forecast, outlook.breach, holds, at, now)


class _Followed:
    """The two series of one budget, and whom to look at."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        budget = counters.budget
        measures = {"tokens": ("input_tokens", "output_tokens"), "calls": ("calls",)}
        counted = ("cost",) if budget.is_money else measures[budget.unit]
        named = [*budget.each, *(name for name in budget.where if name not in budget.each)]

        def member_of(key: Key) -> Key | None:
            values = dict(zip(named, key, strict=True))
            inside = all(values[name] in wanted for name, wanted in budget.where.items())
            member = key[: len(budget.each)]
            return member if inside and None not in member else None

        shadows: Shadows = "all" if counters.shadows else "none"
        series = partial(Series, named, counted, under=member_of, shadows=shadows)
        self.fine = series(FINE, FINE_KEPT)
        self.coarse = series(COARSE, COARSE_KEPT)
        self.changed: set[Key] = set()
        self.burning: set[Key] = set()

    def burn(self, spent: Spent, now: datetime) -> tuple[int, Decimal]:
        """Level (0: it does not burn) and how many times faster than evenly, over an hour."""
        length = spent.period.end - spent.period.start
        level = 0
        for long, short, factor, its_level in (SLOW, FAST):
            if all(self._times(spent, now, window, length) >= factor for window in (long, short)):
                level = its_level
        return level, self._times(spent, now, HOUR, length)

    def outlook(self, spent: Spent, now: datetime) -> Outlook | None:
        """See `Pace.outlook`."""
        series, newest = self.coarse, self.coarse.slot_of(now)
        first = series.first_slot(spent.member)
        if first is None:
            return None
        first = max(first, newest - 7 * 24)
        rests_on = max(now - series.start_of(first), HOUR)
        # Without the slot that it begins with: what is spent every six hours would be counted once
        # too often, from one time to another.
        sums = series.total(spent.member, first + 1, newest)
        amount = self._amount(spent, sums, now)
        hourly = amount * 3600 / Decimal(int(rests_on.total_seconds()))
        left = Decimal(max(0, int((spent.period.end - now).total_seconds())))
        forecast = EXACT.add(spent.used, hourly * left / 3600)
        breach = None
        if spent.used >= spent.limit:
            breach = now
        elif forecast > spent.limit and hourly > 0:
            hours = (spent.limit - spent.used) / hourly
            breach = now + timedelta(seconds=int(hours * 3600))
        return Outlook(spent, hourly, rests_on, forecast, breach)

    def trend(self, spent: Spent, now: datetime) -> tuple[Decimal, ...]:
        """See `Pace.trend`."""
        series, points = self.coarse, [spent.used]
        newest = series.slot_of(now)
        oldest = max(series.slot_of(spent.period.start), newest - 7 * 24)
        for last in range(newest, oldest, -TREND_STEP):
            first = max(last - TREND_STEP + 1, oldest)
            before = points[-1] - self._amount(spent, series.total(spent.member, first, last), now)
            points.append(max(before, Decimal(0)))
        return tuple(reversed(points))

    def _times(self, spent: Spent, now: datetime, window: timedelta, length: timedelta) -> Decimal:
        """Spend of the window over what an even spend of the limit would be."""
        newest = self.fine.slot_of(now)
        slots = window // FINE
        used = self._amount(spent, self.fine.total(spent.member, newest - slots, newest), now)
        even = spent.limit * (window // FINE) / (length // FINE)
        return used / even

    def _amount(self, spent: Spent, sums: tuple[int, ...], now: datetime) -> Decimal:
        whole = Decimal(sum(sums))
        if not spent.budget.is_money:
            return whole
        rate = self.counters.stretches.rate(self.counters.stretches.of(now))
        return whole.scaleb(-12) * (rate or 0)
