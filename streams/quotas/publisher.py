"""What the active guard publishes on `llm.quotas`, and when.

Budgets when they were loaded, and when their next period begins. A member's state at once when its
verdict changes, else at most once a second; it is removed when it has used nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from schemas.quotas import MemberState, Record, Stamp, budget_key, member_key
from streams.budgets.budgets import Budgets
from streams.budgets.counters import Counters
from streams.budgets.periods import Period, Rolling
from streams.guard.concern import AsOf
from streams.quotas.table import QuotaTable
from streams.quotas.verdict import Judge, definition, verdict_of

PACE = timedelta(seconds=1)
"""Between two states of a member whose verdict stays the same."""

Put = Callable[[str, Record | None, Stamp], None]
"""Publishes a record under its key, or that there is none any more. It does not wait."""

_Subject = Counters | Judge | None
"""What the record is about: a budget, a member, or nothing any more."""


class QuotaPublisher:
    """Compares what holds with what gateways were told last.

    ``table`` is what this process has read of the topic: what others have published before.
    """

    def __init__(self, table: QuotaTable, put: Put) -> None:
        self._table = table
        self._put = put
        self._told = QuotaTable()
        self._pending: dict[str, _Subject] = {}
        self._periods: dict[str, Period] = {}
        self._budgets: Budgets | None = None

    def follow(self, budgets: Budgets, at: AsOf, now: datetime) -> None:
        """Publish what is new as of this entry; ``now`` is the time on the wall, UTC.

        To be called after each entry, and every second.
        """
        if not self._table.ready:  # what is there to be removed is not known yet
            return
        if budgets is not self._budgets:
            self._begin(budgets)
        for counters in budgets.counters_of:
            self._turn_period(budgets, counters, now)
        for counters, members in budgets.touched():
            for member in members:
                named = zip(counters.budget.each, member, strict=True)
                key = member_key(counters.budget.name, dict(named))
                self._pending[key] = Judge(budgets, counters, member)
        stamp = Stamp(journal=at.journal, position=at.position, at=now)
        for key, subject in list(self._pending.items()):
            if self._published(key, subject, stamp, now):
                del self._pending[key]

    def _begin(self, budgets: Budgets) -> None:
        """They were just loaded: everything is looked at, also what is only on the topic."""
        self._budgets = budgets
        self._told.merge(self._table)
        self._periods.clear()
        known = {budget_key(counters.budget.name): counters for counters in budgets.counters_of}
        self._pending = {key: known.get(key) for key in (*known, *self._told.definitions)}
        for key, state in self._told.members.items():
            self._pending[key] = self._judge(budgets, known.get(budget_key(state.budget)), state)

    def _turn_period(self, budgets: Budgets, counters: Counters, now: datetime) -> None:
        """Where a period has ended, or a window has moved on: look at whoever has used it."""
        name, period = counters.budget.name, budgets.period(counters, now)
        before, self._periods[name] = self._periods.get(name), period
        if before is None or before == period:
            return
        if not isinstance(counters.stretches.window, Rolling):
            self._pending[budget_key(name)] = counters
        for key, state in self._told.members.items():
            if state.budget == name:
                self._pending[key] = self._judge(budgets, counters, state)

    def _judge(
        self, budgets: Budgets, counters: Counters | None, state: MemberState
    ) -> Judge | None:
        """Who can say more of this member; None where the budget is gone, or has other members."""
        if counters is None or tuple(state.member) != tuple(counters.budget.each):
            return None
        return Judge(budgets, counters, tuple(state.member.values()))

    def _published(self, key: str, subject: _Subject, stamp: Stamp, now: datetime) -> bool:
        """Whether it is done with: published, or nothing new."""
        told = self._told.get(key)
        record: Record | None = None
        if isinstance(subject, Counters):
            assert self._budgets is not None  # noqa: S101 - `follow` has begun
            record = definition(self._budgets, subject, stamp, now)
        elif isinstance(subject, Judge):
            before = told if isinstance(told, MemberState) else None
            early = before is not None and before.as_of.at <= now < before.as_of.at + PACE
            if early and subject.verdict(now) == verdict_of(before, now):
                return False
            record = subject.state(before, stamp, now)
        if _same(record, told):
            return True
        # What is on the topic may be of a later entry than ours: then we are not there yet.
        if not self._told.take(key, record, stamp):
            return False
        self._put(key, record, stamp)
        return True


def _same(record: Record | None, told: Record | None) -> bool:
    """Whether both say the same, though as of different entries."""
    if record is None or told is None:
        return record is told
    return record == told.model_copy(update={"as_of": record.as_of})
