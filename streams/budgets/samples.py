"""What the budgets of a file would say: an alert of each, on a member and figures made up."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from schemas.alerts import Alert
from streams.budgets.announce import budget_alert
from streams.budgets.book import Budget, BudgetBook
from streams.budgets.counters import Member, Parts, Sum
from streams.budgets.periods import Period, Rolling
from streams.budgets.spent import Spent
from streams.guard.concern import AsOf

NOWHERE = AsOf("sample/llm.spend", 0)
_MEMBERS = {
    "department": "engineering",
    "team": "search",
    "user": "ada",
    "application": "agent",
    "model": "gpt-4o",
    "provider": "openai",
}
_PARTS = {
    "team": ("search", "support", "research"),
    "application": ("agent", "nightly index", "chat"),
    "model": ("gpt-4o", "claude-sonnet-4-5", "gpt-4o-mini"),
    "user": ("ada", "bob", "chen"),
    "provider": ("openai", "anthropic", "google"),
}
_SHARES = (62, 27, 11)
_TREND = 24


def sample_alerts(book: BudgetBook, now: datetime) -> list[Alert]:
    """The alert of each budget's highest threshold, as of ``now``."""
    return [_sample(budget, book, now) for budget in book.budgets]


def _sample(budget: Budget, book: BudgetBook, now: datetime) -> Alert:
    window = budget.window(book)
    if isinstance(window, Rolling):
        period, named = Period(now - window.length, now, ""), now.isoformat()
    else:
        period = window.containing(now)
        named = period.name
    threshold = budget.thresholds[-1]
    member: Member = tuple(_MEMBERS.get(name, f"some {name}") for name in budget.each)
    limit = budget.limit_for(member)
    used = limit * (threshold.at * 10 + 14) / 1000
    rate = book.rates.at(budget.unit, now) if budget.is_money else None
    pico = int((used / rate).scaleb(12)) if rate else 0
    part = budget.part
    parts: Parts = {
        name: Sum(cost=pico * share // 100, calls=share * 40, tokens=share * 91_000)
        for name, share in zip(_PARTS[part], _SHARES, strict=True)
    }
    steps = range(_TREND + 1)
    trend = tuple(used * (n * n + 3 * n) / (_TREND * _TREND + 3 * _TREND) for n in steps)
    spent = Spent(budget, member, period, Decimal(used), limit, parts, part)
    return budget_alert(spent, threshold, named, True, NOWHERE, now, trend)
