"""Budgets as the guard watches them: every threshold of every member, in every period."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from schemas.alerts import Alert
from sinks.clickhouse import ClickHouse
from streams.budgets.announce import budget_alert
from streams.budgets.book import BudgetBook
from streams.budgets.counters import Counters, Member
from streams.budgets.periods import Period, Rolling
from streams.budgets.spent import EXACT, Spent
from streams.budgets.stretches import Stretches, moment_of
from streams.guard.concern import Accepted, AsOf
from streams.guard.money import usd


class Budgets:
    """Counts every member of every budget. What it holds is a function of the ledger.

    ``older`` is shared by whoever loads it next: periods of long ago, which somebody has spent in
    after all. They are loaded then, so that what comes late counts in the period in which it was.
    """

    name = "budgets"

    def __init__(self, book: BudgetBook, older: set[tuple[str, int]] | None = None) -> None:
        self.book = book
        self.older: set[tuple[str, int]] = set() if older is None else older
        self.counters_of = [
            Counters(
                budget,
                Stretches(budget.window(book), book.rates.segments(budget.unit)),
                shadows=book.shadow == "count",
            )
            for budget in book.budgets
        ]
        self._only: list[set[int] | None] = [None] * len(self.counters_of)
        self._changed: list[set[tuple[Member, int]]] = [set() for _ in self.counters_of]
        self._touched: list[set[Member]] = [set() for _ in self.counters_of]
        self._unrecorded: list[set[tuple[Member, int]]] = [set() for _ in self.counters_of]
        self.trend_of: Callable[[Spent, datetime], tuple[Decimal, ...]] = lambda *_: ()
        """What a member has used so far, over the last days; whoever keeps days sets it."""
        self._reached: set[tuple[str, Member, str, int]] = set()
        """Thresholds of calendars that were reached: budget, member, period, percentage."""
        self._episodes: dict[tuple[str, Member, int], datetime] = {}
        """When a threshold of a rolling window was reached: budget, member, percentage."""
        self._moved_to: dict[str, datetime] = {}
        """The end of each budget's rolling window when all with an episode were looked at."""

    def fresh(self) -> Budgets:
        """The same budgets with nothing counted yet, to load the same stretches of time."""
        fresh = Budgets(self.book, self.older)
        fresh._only = [set(counters.sums) for counters in self.counters_of]
        return fresh

    def remember(self, alert: Alert) -> None:
        """Take note of what was announced before: a rolling window keeps its alert's name."""
        if alert.transition == "resolved" or alert.rule not in {"budget", "executive_review"}:
            return
        for budget in self.book.budgets:
            if budget.name != alert.scope.get("budget"):
                continue
            member = tuple(alert.scope.get(name, "") for name in budget.each)
            percent = int(alert.threshold)
            if isinstance(budget.period, Rolling):
                since = datetime.fromisoformat(alert.period)
                self._episodes[budget.name, member, percent] = since
            else:
                self._reached.add((budget.name, member, alert.period, percent))

    @property
    def wants_older(self) -> bool:
        """True where something was spent in a period that is not loaded: a load is needed."""
        return any(
            (counters.budget.name, start) in self.older
            for counters in self.counters_of
            for start in counters.asleep
        )

    def load(self, clickhouse: ClickHouse, at: AsOf, now: datetime) -> None:
        """Sums of the ledger as of the position."""
        for index, counters in enumerate(self.counters_of):
            only = self._only[index]
            counters.load(clickhouse, at, now, only)
            wanted = {start for name, start in self.older if name == counters.budget.name}
            if only is None and (late := wanted & counters.asleep):
                counters.load(clickhouse, at, now, late)
                counters.asleep -= late
            self._changed[index] = {
                (member, start) for start, members in counters.sums.items() for member in members
            }
            self._touched[index] = {member for member, _ in self._changed[index]}
            self._unrecorded[index] = set(self._changed[index])

    def apply(self, entry: Accepted) -> None:
        """Add an entry's rows."""
        for index, counters in enumerate(self.counters_of):
            touched = counters.apply(entry.rows)
            self._changed[index] |= touched
            self._touched[index].update(member for member, _ in touched)
            self.older.update(
                (counters.budget.name, start) for _, start in touched if start in counters.asleep
            )
            if isinstance(counters.stretches.window, Rolling):
                counters.forget(counters.stretches.of(counters.stretches.loaded_from(entry.now)))
                touched = {(member, 0) for member, _ in touched}  # whoever never asks keeps few
            self._unrecorded[index] |= touched

    def alerts(self, at: AsOf, now: datetime) -> Iterable[Alert]:
        """Where each threshold stands of what has changed."""
        for index, counters in enumerate(self.counters_of):
            changed, self._changed[index] = self._changed[index], set()
            if isinstance(counters.stretches.window, Rolling):
                yield from self._rolling(counters, {member for member, _ in changed}, at, now)
            else:
                yield from self._calendar(counters, changed, at, now)

    def touched(self) -> Iterator[tuple[Counters, set[Member]]]:
        """The members that were loaded, or that rows came for, since this was last asked."""
        for index, counters in enumerate(self.counters_of):
            members, self._touched[index] = self._touched[index], set()
            yield counters, members

    def unrecorded(self) -> Iterator[tuple[Counters, set[tuple[Member, int]]]]:
        """The same with their stretches (of rolling windows any), since this was last asked."""
        for index, counters in enumerate(self.counters_of):
            members, self._unrecorded[index] = self._unrecorded[index], set()
            yield counters, members

    def period(self, counters: Counters, now: datetime) -> Period:
        """The period that ``now`` is in; the window that ends now, up to the end of its step."""
        return _period_at(counters.stretches, now)

    def counters(self) -> Mapping[str, int]:
        """Every sum."""
        return {
            name: value
            for counters in self.counters_of
            for name, value in counters.figures().items()
        }

    def spent(self, counters: Counters, member: Member, period: Period) -> Spent | None:
        """What the member has used in this period; None where an exchange rate is missing."""
        stretches = counters.stretches
        if isinstance(stretches.window, Rolling):
            newest = period.end - timedelta(minutes=1)
            return self._used(counters, member, period, stretches.in_window(newest))
        return self._used(counters, member, period, stretches.in_period(period))

    def current(self, now: datetime) -> Iterator[Spent]:
        """Every member that has used something of what is its period, or window, now."""
        for counters in self.counters_of:
            period = _period_at(counters.stretches, now)
            members = {
                member
                for start, members in counters.sums.items()
                if moment_of(start) in period
                for member in members
            }
            for member in sorted(members):
                if (spent := self.spent(counters, member, period)) is not None:
                    yield spent

    def _used(
        self, counters: Counters, member: Member, period: Period, stretches: list[int]
    ) -> Spent | None:
        budget, used = counters.budget, Decimal(0)
        for start in stretches:
            sums = counters.sums.get(start, {}).get(member, {}).values()
            if not sums:
                continue
            if not budget.is_money:
                used += sum(getattr(one, budget.unit) for one in sums)
                continue
            rate = counters.stretches.rate(start)
            if rate is None:
                return None
            cost = usd(sum(one.cost for one in sums))
            used = EXACT.add(used, EXACT.multiply(cost, rate))
        limit = budget.limit_for(member)
        parts = counters.parts(member, stretches)
        return Spent(budget, member, period, used, limit, parts, counters.budget.part)

    def _calendar(
        self, counters: Counters, changed: set[tuple[Member, int]], at: AsOf, now: datetime
    ) -> Iterator[Alert]:
        periods = {
            (member, counters.stretches.period(start))
            for member, start in changed
            if start not in counters.asleep
        }
        for member, period in sorted(periods, key=lambda one: (one[1].start, one[0])):
            spent = self.spent(counters, member, period)
            if spent is None:
                continue
            for threshold in counters.budget.thresholds:
                holds = spent.reached(threshold.at)
                key = (counters.budget.name, member, period.name, threshold.at)
                if holds:
                    self._reached.add(key)
                elif key not in self._reached:  # nobody was told of it
                    continue
                yield budget_alert(
                    spent, threshold, period.name, holds, at, now, self.trend_of(spent, now)
                )

    def _rolling(
        self, counters: Counters, changed: set[Member], at: AsOf, now: datetime
    ) -> Iterator[Alert]:
        budget = counters.budget
        period = _period_at(counters.stretches, now)
        if self._moved_to.get(budget.name) != period.end:  # what is too long ago counts no more
            self._moved_to[budget.name] = period.end
            changed |= {member for name, member, _ in self._episodes if name == budget.name}
        for member in sorted(changed):
            spent = self.spent(counters, member, period)
            if spent is None:
                continue
            for threshold in budget.thresholds:
                key = (budget.name, member, threshold.at)
                holds = spent.reached(threshold.at)
                if not holds and key not in self._episodes:
                    continue
                since = self._episodes.setdefault(key, period.end)
                if not holds:
                    del self._episodes[key]
                yield budget_alert(spent, threshold, since.isoformat(), holds, at, now)


def _period_at(stretches: Stretches, now: datetime) -> Period:
    """The period that ``now`` is in; the window that ends now, up to the end of its step."""
    window = stretches.window
    if not isinstance(window, Rolling):
        return window.containing(now)
    slots = stretches.in_window(now)
    return Period(moment_of(slots[0]), moment_of(slots[-1]) + window.step, "")
