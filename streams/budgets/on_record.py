"""Where budgets stand, as rows for SQL: of whoever has used something since the last look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from sinks.budget_log import RateRow, StandingRow
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.budgets.counters import Counters, Member
from streams.budgets.currencies import USD
from streams.budgets.pace import Pace
from streams.budgets.periods import EPOCH, MINUTE, Period, Rolling
from streams.budgets.spent import EXACT
from streams.guard.concern import AsOf
from streams.guard.money import usd

Subject = tuple[Counters, Member, Period]
"""A member of a budget, in one of its periods."""


class Unrecorded:
    """Whom to put on record: whoever was loaded, or spent, or whose period or window has ended."""

    def __init__(self, budgets: Budgets) -> None:
        self.budgets = budgets
        self._periods: dict[str, Period] = {}

    def take(self, now: datetime) -> Iterator[Subject]:
        """Those of now, by the time of the events; each is named once."""
        for counters, touched in self.budgets.unrecorded():
            yield from self._subjects(counters, touched, now)

    def current(self, now: datetime) -> list[tuple[str, tuple[str, ...], str]]:
        """Budget, dimensions of its members, and name of its period."""
        return [
            (counters.budget.name, counters.budget.each, self.budgets.period(counters, now).name)
            for counters in self.budgets.counters_of
        ]

    def _subjects(
        self, counters: Counters, touched: set[tuple[Member, int]], now: datetime
    ) -> Iterator[Subject]:
        name, period = counters.budget.name, self.budgets.period(counters, now)
        before, self._periods[name] = self._periods.get(name), period
        moved = before != period
        if isinstance(counters.stretches.window, Rolling):
            members = {member for member, _ in touched}
            if moved:  # what is too long ago counts no more
                members.update(member for sums in counters.sums.values() for member in sums)
            yield from ((counters, member, period) for member in sorted(members))
            return
        found = {
            (member, counters.stretches.period(start))
            for member, start in touched
            if start not in counters.asleep
        }
        if moved:
            if not counters.budget.each:  # a budget of one is there before anything is spent
                found.add(((), period))
            if before is not None:  # what it came to, without a forecast
                found |= {
                    (member, before)
                    for start in counters.stretches.in_period(before)
                    for member in counters.sums.get(start, ())
                }
        yield from ((counters, *one) for one in sorted(found, key=lambda one: (one[1].start, one)))


def standing_row(
    budgets: Budgets, pace: Pace, subject: Subject, at: AsOf, now: datetime
) -> StandingRow:
    """How the member stands as of the position; ``now`` is the time by the events."""
    counters, member, period = subject
    budget, stretches = counters.budget, counters.stretches
    rolling = isinstance(stretches.window, Rolling)
    spent = budgets.spent(counters, member, period)
    over = rolling or now not in period
    outlook = None if spent is None or over else pace.outlook(spent, now)
    cost = None
    if budget.is_money:
        inside = stretches.in_window(_last(period)) if rolling else stretches.in_period(period)
        sums = (counters.sums.get(start, {}).get(member, {}).values() for start in inside)
        cost = usd(sum(one.cost for parts in sums for one in parts))
    selects: dict[str, Sequence[str]] = {str(name): names for name, names in budget.where.items()}
    selects.update({name: [one] for name, one in zip(budget.each, member, strict=True)})
    return StandingRow(
        budget=budget.name,
        each=budget.each,
        member=member,
        scope=budget.scope_of(member),
        selects=selects,
        period=period.name,
        period_start=period.start,
        period_end=period.end,
        unit=budget.unit,
        limit=budget.limit_for(member),
        used=None if spent is None else spent.used,
        used_usd=cost,
        hourly=_twelve(outlook.hourly) if outlook else None,
        forecast=_twelve(outlook.forecast) if outlook else None,
        breach_at=outlook.breach if outlook else None,
        journal=at.journal,
        position=at.position,
        as_of=now,
    )


def rate_rows(book: BudgetBook, source: str | None) -> list[RateRow]:
    """Every exchange rate of a budgets file, and that one USD is one USD."""
    return [
        RateRow(currency, max(since.replace(microsecond=0), EPOCH), rate, source)
        for currency in (USD, *sorted(book.exchange_rates))
        for since, rate in book.rates.segments(currency)
    ]


def _last(period: Period) -> datetime:
    return period.end - MINUTE


def _twelve(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("1e-12"), context=EXACT)
