"""A budget in plain words, one line: for whoever wants to know whether the file says what is meant.

`users: HKD 450.00 a month for each user, 2 exceptions; thresholds 50, 80, 100 %; months of
Asia/Hong_Kong`
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from streams.budgets.book import Action, Budget, BudgetBook
from streams.budgets.periods import Rolling

_UNITS = {"day": timedelta(days=1), "hour": timedelta(hours=1), "minute": timedelta(minutes=1)}


def in_words(budget: Budget, book: BudgetBook) -> str:
    """Name, limit, whose, exceptions; thresholds; what else happens; periods."""
    exceptions = f", {_counted(len(budget.exceptions), 'exception')}" if budget.exceptions else ""
    limit = amount(budget.limit, budget.unit)
    parts = [
        f"{budget.name}: {limit} {_per(budget)} for {whom(budget)}{exceptions}",
        f"thresholds {', '.join(str(step.at) for step in budget.thresholds)} %",
        *(f"{step.at} % is reviewed" for step in budget.thresholds if step.review),
        *(f"at {action.at} % {what(action)}" for action in budget.actions),
        *(["no burn rate"] if budget.burn_rate is False else []),
        *(["no forecast"] if not budget.forecast else []),
        *(["shadow calls do not count"] if book.shadow == "ignore" else []),
        _periods(budget, book),
    ]
    return "; ".join(parts)


def amount(value: Decimal, unit: str) -> str:
    """`HKD 450.00`, `2,000,000 tokens`."""
    if unit in {"tokens", "calls"}:
        return f"{value:,f} {unit}"
    cents = value.quantize(Decimal("0.01"))
    return f"{unit} {cents if cents == value else value.normalize():,f}"


def whom(budget: Budget) -> str:
    """`each user of team search or support`, `team search`, `the organisation`."""
    each = " and ".join(_word(dimension) for dimension in budget.each)
    where = " and ".join(
        f"{_word(dimension)} {' or '.join(names)}" for dimension, names in budget.where.items()
    )
    if not each:
        return where or "the organisation"
    return f"each {each}{f' of {where}' if where else ''}"


def what(action: Action) -> str:
    """`degrade to balanced`, `refuse`."""
    return f"degrade to {action.to}" if action.to else action.do


def length(window: Rolling) -> str:
    """`24h`, `7d`, `90m`, as in the file."""
    unit, count = _length(window)
    return f"{count}{unit[0]}"


def _per(budget: Budget) -> str:
    if isinstance(budget.period, Rolling):
        unit, count = _length(budget.period)
        return f"in any {unit if count == 1 else _counted(count, unit)}"
    return f"a {budget.period}"


def _length(window: Rolling) -> tuple[str, int]:
    # Days only from two on: `24h` is how the first one is written.
    least = {"day": 2, "hour": 1, "minute": 1}
    return next(
        (unit, window.length // one)
        for unit, one in _UNITS.items()
        if not window.length % one and window.length // one >= least[unit]
    )


def _periods(budget: Budget, book: BudgetBook) -> str:
    if isinstance(budget.period, Rolling):
        minutes = budget.period.step // timedelta(minutes=1)
        return f"moving in steps of {_counted(minutes, 'minute')}"
    month, day = book.fiscal_year_starts
    since = ""
    if budget.period == "week" and book.week_starts != "monday":
        since = f" from {book.week_starts.capitalize()}"
    elif budget.period == "month" and day != 1:
        since = f" from day {day}"
    elif budget.period in {"quarter", "year"} and (month, day) != (1, 1):
        since = f" from {month:02}-{day:02}"
    return f"{budget.period}s{since} of {book.timezone}"


def _word(dimension: str) -> str:
    return dimension.replace("_", " ")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
