"""What an alert on a budget says."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from schemas.alerts import Alert, Contributor
from sinks.amounts import amount_text
from streams.budgets.book import Threshold
from streams.budgets.periods import Rolling
from streams.budgets.spent import Spent
from streams.guard.concern import AsOf
from streams.guard.money import usd

TOP = 3
"""Contributors named in an alert: more than a reader acts on is noise."""


def budget_alert(
    spent: Spent,
    threshold: Threshold,
    period: str,
    holds: bool,
    at: AsOf,
    now: datetime,
    trend: tuple[Decimal, ...] = (),
) -> Alert:
    """How one threshold of one member stands."""
    budget, percent = spent.budget, threshold.at
    rolling = isinstance(budget.period, Rolling)
    whose = spent.who
    what = "its budget of the window" if rolling else f"its {spent.period.name} budget"
    used = f"{spent.percent:f} %"
    review = threshold.review and holds
    title = f"{whose} has used {used} of {what}"
    if not holds:
        title = f"{whose} is back under {percent} % of {what}"
    elif review:
        title = f"Review: {title}"
    return Alert(
        rule="executive_review" if threshold.review else "budget",
        scope={**budget.scope_of(spent.member), "budget": budget.name},
        period=period,
        threshold=str(percent),
        transition="opened" if holds else "resolved",
        severity=threshold.severity if holds else "info",
        title=title[:150],
        detail=f"The threshold of {percent} % of the budget {budget.name} was "
        f"{'reached' if holds else 'left'}.",
        action=_action(percent, review=review) if holds else "Nothing to do.",
        value=spent.used,
        limit=spent.limit,
        unit=budget.unit,
        since=spent.period.start,
        until=None if rolling else spent.period.end,
        at=now,
        contributors=top_contributors(spent),
        trend=trend if holds else (),
        review=threshold.review,
        channels=threshold.channels,
        journal=at.journal,
        position=at.position,
    )


def top_contributors(spent: Spent) -> tuple[Contributor, ...]:
    """Who has used most of it."""
    by_tokens = spent.budget.unit == "tokens"
    ranked = sorted(
        spent.parts.items(),
        key=lambda item: (item[1].tokens if by_tokens else item[1].cost, item[1].calls),
        reverse=True,
    )
    return tuple(
        Contributor(
            name=name or f"(no {spent.part.replace('_', ' ')})",
            cost=usd(one.cost),
            calls=one.calls,
            tokens=one.tokens,
        )
        for name, one in ranked[:TOP]
    )


def _action(percent: int, *, review: bool) -> str:
    if review:
        return "Decide whether this spend goes on, and acknowledge that it was looked at."
    if percent >= 100:
        return "The budget is used up: stop what can wait, or have the budget raised."
    return "See what grew, and whether a cheaper model or caching would do."


def burn_alert(
    spent: Spent,
    breach: datetime | None,
    level: int,
    times: Decimal,
    holds: bool,
    at: AsOf,
    now: datetime,
) -> Alert:
    """A budget that is used much faster than evenly, or no longer is."""
    budget = spent.budget
    name = f"{spent.who} {'burns' if holds else 'no longer burns'} its {spent.period.name} budget"
    gone = (
        f", and is used up by {breach:%Y-%m-%d %H:%M} UTC at the pace of the week" if breach else ""
    )
    return Alert(
        **_common(spent, at, now),
        rule="burn_rate",
        threshold="burn rate",
        transition="opened" if holds else "resolved",
        level=max(level, 1),
        severity=("warning", "warning", "critical")[level] if holds else "info",
        title=(f"{name} {times:.1f} times too fast" if holds else f"{name} too fast")[:150],
        detail=f"The last hour used {times:.1f} times what an even pace would. "
        f"{amount_text(spent.used, budget.unit)} of {amount_text(spent.limit, budget.unit)} "
        f"are used{gone}.",
        action="See what is running, and stop what should not." if holds else "Nothing to do.",
    )


def forecast_alert(
    spent: Spent,
    forecast: Decimal,
    breach: datetime | None,
    holds: bool,
    at: AsOf,
    now: datetime,
) -> Alert:
    """A budget that will be broken before its period ends, or will not any more."""
    budget = spent.budget
    expected = amount_text(forecast, budget.unit)
    limit = amount_text(spent.limit, budget.unit)
    when = f" It is used up about {breach:%Y-%m-%d %H:%M} UTC." if breach else ""
    return Alert(
        **_common(spent, at, now),
        rule="forecast",
        threshold="100",
        transition="opened" if holds else "resolved",
        severity="warning" if holds else "info",
        title=(
            f"{spent.who} will {'break' if holds else 'keep to'} its {spent.period.name} budget"
        )[:150],
        detail=f"{expected} of {limit} are expected by the end: what is used, and the average of "
        f"the last seven days for what is left.{when}",
        action=(
            "Slow down what can wait, choose a cheaper model, or have the budget raised."
            if holds
            else "Nothing to do."
        ),
    )


def _common(spent: Spent, at: AsOf, now: datetime) -> dict[str, Any]:
    budget = spent.budget
    return {
        "scope": {**budget.scope_of(spent.member), "budget": budget.name},
        "period": spent.period.name,
        "value": spent.used,
        "limit": spent.limit,
        "unit": budget.unit,
        "since": spent.period.start,
        "until": spent.period.end,
        "at": now,
        "contributors": top_contributors(spent),
        "journal": at.journal,
        "position": at.position,
    }
