"""What a simulation comes to: how often each rule and each budget would have raised an alert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas.alerts import Alert, Rule
from streams.budgets.budgets import Budgets
from streams.budgets.spent import Spent

OF_BUDGETS = frozenset[Rule]({"budget", "executive_review", "burn_rate", "forecast"})


@dataclass(slots=True)
class RuleCount:
    """The transitions of one rule, and whom its alerts were about: scope to how many opened."""

    transitions: Counter[str] = field(default_factory=Counter)
    scopes: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class BudgetCount:
    """The alerts that one budget opened: by percentage, by other rule, by member."""

    percents: Counter[int] = field(default_factory=Counter)
    others: Counter[Rule] = field(default_factory=Counter)
    members: Counter[str] = field(default_factory=Counter)


class Peaks:
    """How full each budget was at most, from ``start`` on: whoever used the largest part of it."""

    def __init__(self, budgets: Budgets, start: datetime) -> None:
        self._budgets = budgets
        self._start = start
        self.highest: dict[str, Spent] = {}

    def look(self, now: datetime) -> None:
        """Look at the members that something was spent by since the last look."""
        if now < self._start:
            return
        for counters, members in self._budgets.touched():
            period = self._budgets.period(counters, now)
            for member in members:
                spent = self._budgets.spent(counters, member, period)
                if spent is None:
                    continue
                highest = self.highest.get(counters.budget.name)
                if highest is None or spent.used * highest.limit > highest.used * spent.limit:
                    self.highest[counters.budget.name] = spent


def by_rule(transitions: Iterable[Alert]) -> dict[Rule, RuleCount]:
    """Each rule that said something, in the order of the first time."""
    found: dict[Rule, RuleCount] = {}
    for alert in transitions:
        count = found.setdefault(alert.rule, RuleCount())
        count.transitions[alert.transition] += 1
        if alert.transition == "opened":
            count.scopes[alert.scope_text] += 1
    return found


def by_budget(transitions: Iterable[Alert], names: Sequence[str]) -> dict[str, BudgetCount]:
    """Each of the budgets, also those that said nothing."""
    found = {name: BudgetCount() for name in names}
    for alert in transitions:
        if alert.rule in OF_BUDGETS and alert.transition == "opened":
            count = found[alert.scope["budget"]]
            if alert.rule in {"budget", "executive_review"}:
                count.percents[int(alert.threshold)] += 1
            else:
                count.others[alert.rule] += 1
            count.members[member_of(alert)] += 1
    return found


def member_of(alert: Alert) -> str:
    """Whose budget an alert is about: `user ada`, `the organisation`."""
    scope = {kind: name for kind, name in alert.scope.items() if kind != "budget"}
    return alert.model_copy(update={"scope": scope}).scope_text or "the organisation"
