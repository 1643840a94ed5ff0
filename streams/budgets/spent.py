"""What a member of a budget has used of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

from streams.budgets.book import Budget
from streams.budgets.counters import Member, Parts
from streams.budgets.periods import Period

EXACT = Context(prec=60)
"""Decimal's default of 28 digits would round the 38 that a sum can hold."""


NAME_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Spent:
    """What a member of a budget has used of it in a period: ``used`` and ``limit`` in its unit."""

    budget: Budget
    member: Member
    period: Period
    used: Decimal
    limit: Decimal
    parts: Parts
    part: str
    """The dimension of ``parts``."""

    def reached(self, percent: int) -> bool:
        """Whether so much of the limit is used, exactly."""
        return EXACT.multiply(self.used, Decimal(100)) >= EXACT.multiply(self.limit, percent)

    @property
    def percent(self) -> Decimal:
        """Share of the limit in percent, one decimal, rounded down: at 100 it is reached."""
        tenths = EXACT.divide_int(EXACT.multiply(self.used, Decimal(1000)), self.limit)
        return tenths.scaleb(-1)

    @property
    def scope(self) -> frozenset[tuple[str, str]]:
        """What its alerts are about: dimensions with their values, and the budget."""
        return frozenset({**self.budget.scope_of(self.member), "budget": self.budget.name}.items())

    @property
    def who(self) -> str:
        """Whose budget it is, as a sentence begins: `Team search`, `The organisation`."""
        scope = self.budget.scope_of(self.member)
        names = [f"{kind.replace('_', ' ')} {name[:NAME_SHOWN]}" for kind, name in scope.items()]
        text = ", ".join(names) or "the organisation"
        return text[0].upper() + text[1:]
