"""What follows from what a member has used of its budget: the records that the guard publishes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.quotas import BudgetDefinition, LimitException, MemberState, QuotaAction, Stamp
from sinks.amounts import duration_text, limit_text
from streams.budgets.budgets import Budgets
from streams.budgets.counters import Counters, Member
from streams.budgets.periods import Period, Rolling
from streams.budgets.spent import Spent

Verdict = tuple[bool, str | None]
"""Whether calls are allowed, and the tier to use."""
FREE: Verdict = (True, None)


def definition(
    budgets: Budgets, counters: Counters, stamp: Stamp, now: datetime
) -> BudgetDefinition:
    """The record of a budget, with the period that ``now`` is in."""
    budget, window = counters.budget, counters.stretches.window
    period = None if isinstance(window, Rolling) else budgets.period(counters, now)
    return BudgetDefinition(
        budget=budget.name,
        each=budget.each,
        where=dict(budget.where.items()),
        limit=budget.limit,
        unit=budget.unit,
        exceptions=tuple(
            LimitException(members=dict(one.members.items()), limit=one.limit)
            for one in budget.exceptions
        ),
        actions=tuple(QuotaAction(at=one.at, do=one.do, to=one.to) for one in budget.actions),
        period="rolling" if isinstance(window, Rolling) else window.kind,
        period_start=None if period is None else period.start,
        period_end=None if period is None else period.end,
        window_seconds=(
            int(window.length.total_seconds()) if isinstance(window, Rolling) else None
        ),
        as_of=stamp,
    )


@dataclass(frozen=True, slots=True)
class Judge:
    """Makes the record of one member of a budget."""

    budgets: Budgets
    counters: Counters
    member: Member

    def verdict(self, now: datetime) -> Verdict:
        """What holds for it at ``now``."""
        if not self.counters.budget.actions:
            return FREE
        spent = self._spent(self.budgets.period(self.counters, now))
        return FREE if spent is None else _verdict(spent)

    def state(self, told: MemberState | None, stamp: Stamp, now: datetime) -> MemberState | None:
        """Its state at ``now``; None where it has used nothing. ``told``: the record before."""
        budget = self.counters.budget
        period = self.budgets.period(self.counters, now)
        spent = self._spent(period)
        if spent is not None and spent.used == 0:
            return None
        verdict = FREE if spent is None else _verdict(spent)
        continues = (
            told is not None
            and now < told.valid_until
            and (told.allowed, told.degrade_to) == verdict
        )
        return MemberState(
            budget=budget.name,
            member=dict(zip(budget.each, self.member, strict=True)),
            used=None if spent is None else spent.used,
            limit=budget.limit_for(self.member),
            unit=budget.unit,
            period_start=period.start,
            period_end=period.end,
            allowed=verdict[0],
            degrade_to=verdict[1],
            since=told.since if told is not None and continues else now,
            reason=self._reason(spent, period),
            valid_until=self._gone(period),
            as_of=stamp,
        )

    def _spent(self, period: Period) -> Spent | None:
        return self.budgets.spent(self.counters, self.member, period)

    def _gone(self, period: Period) -> datetime:
        """When nothing of the period counts; of a window, when its newest step has left it."""
        window = self.counters.stretches.window
        if isinstance(window, Rolling):
            return period.end + (period.end - period.start) - window.step
        return period.end

    def _reason(self, spent: Spent | None, period: Period) -> str:
        budget, window = self.counters.budget, self.counters.stretches.window
        if spent is None:
            return (
                f"What is used of budget {budget.name} is not known: there is no exchange rate "
                f"to {budget.unit} for all of it."
            )
        limit, end = limit_text(spent.limit, budget.unit), f"{period.end:%Y-%m-%d %H:%M} UTC"
        until, ends = f"until {end}", f"; the period ends {end}"
        if isinstance(window, Rolling):
            limit += f" within {duration_text(window.length)}"
            until, ends = f"at least {until}", ""
        text = f"{spent.who} has used {spent.percent:f} % of {limit} (budget {budget.name})"
        allowed, tier = _verdict(spent)
        if not allowed:
            return f"{text}; calls are refused {until}."
        return f"{text}; calls go to {tier} models {until}." if tier else f"{text}{ends}."


def verdict_of(state: MemberState | None, now: datetime) -> Verdict:
    """What a record says at ``now``: everything is allowed where it says nothing any more."""
    if state is None or now >= state.valid_until:
        return FREE
    return state.allowed, state.degrade_to


def _verdict(spent: Spent) -> Verdict:
    allowed, tier = FREE
    for action in spent.budget.actions:
        if spent.reached(action.at):
            if action.do == "refuse":
                allowed = False
            else:
                tier = action.to
    return allowed, tier
