"""What a budgets file may say and hardly means: budgets, steps and rates without any effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import get_args

from schemas.alerts import Severity
from streams.budgets.book import Action, Budget, BudgetBook
from streams.budgets.currencies import USD
from streams.budgets.describe import amount, what
from streams.budgets.fields import TIERS
from streams.budgets.periods import Rolling
from streams.yaml_file import Loc

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is suspicious, and where it is in the file."""

    loc: Loc
    message: str


def suspicions(book: BudgetBook, now: datetime) -> Iterator[Suspicion]:
    """Everything suspicious about the book itself. ``now`` decides which rates are missed."""
    for index, budget in enumerate(book.budgets):
        loc = ("budgets", index)
        yield from _of_steps(budget, loc)
        yield from _of_exceptions(budget, loc)
        yield from _of_rates(budget, book, now, loc)
        for other in book.budgets[:index]:
            if _key(other) == _key(budget):
                yield Suspicion(
                    loc,
                    f"counts the same as {other.name!r} does; one budget with more thresholds "
                    "would do",
                )
        yield from _of_wider_budgets(budget, book, loc)
    used = {book.currency, *(budget.unit for budget in book.budgets)}
    for currency in sorted(book.exchange_rates.keys() - used):
        yield Suspicion(
            ("exchange_rates", currency),
            f"no budget is in {currency}; write `currency: {currency}` if they should be",
        )


def _of_steps(budget: Budget, loc: Loc) -> Iterator[Suspicion]:
    highest = budget.thresholds[-1].at
    if highest < 100:
        yield Suspicion(
            (*loc, "thresholds"),
            f"nobody is told when the budget is used up: {highest} is the highest; add 100",
        )
    for lower, higher in pairwise(budget.thresholds):
        if _SEVERITIES.index(higher.severity) < _SEVERITIES.index(lower.severity):
            yield Suspicion(
                (*loc, "thresholds"),
                f"{higher.at} % is {higher.severity}, and {lower.at} % before it {lower.severity}",
            )
    for action in budget.actions:
        if action.at > highest:
            yield Suspicion(
                (*loc, "actions"),
                f"nobody is told before `{what(action)}` at {action.at} %: the highest threshold "
                f"is {highest}",
            )
    for earlier, later in pairwise(budget.actions):
        if _room(later) >= _room(earlier):
            yield Suspicion(
                (*loc, "actions"),
                f"`{what(later)}` at {later.at} % adds nothing to `{what(earlier)}` at "
                f"{earlier.at} %",
            )


def _room(action: Action) -> int:
    """How much the action leaves: nothing, or the tiers up to its own."""
    return TIERS.index(action.to) + 1 if action.to else 0


def _of_exceptions(budget: Budget, loc: Loc) -> Iterator[Suspicion]:
    for index, exception in enumerate(budget.exceptions):
        if exception.limit == budget.limit:
            yield Suspicion(
                (*loc, "exceptions", index, "limit"), "is the budget's own limit: no exception"
            )


def _of_rates(budget: Budget, book: BudgetBook, now: datetime, loc: Loc) -> Iterator[Suspicion]:
    if not budget.is_money or budget.unit == USD:
        return
    window = budget.window(book)
    rolling = isinstance(window, Rolling)
    start = now - window.length if isinstance(window, Rolling) else window.containing(now).start
    if book.rates.at(budget.unit, start) is None:
        first = min(book.exchange_rates[budget.unit])
        yield Suspicion(
            ("exchange_rates", budget.unit),
            f"the rates begin on {first}, and {'the window' if rolling else 'the current period'} "
            f"of {budget.name!r} before that: what was spent then is not counted",
        )


def _of_wider_budgets(budget: Budget, book: BudgetBook, loc: Loc) -> Iterator[Suspicion]:
    """Limits that cannot be reached, as a budget around them has less for the same period."""
    for wide in book.budgets:
        same = (wide.unit, wide.period) == (budget.unit, budget.period)
        if wide is budget or wide.each or not same or not _covers(wide, budget):
            continue
        limits = [(budget.limit, (*loc, "limit"))] + [
            (exception.limit, (*loc, "exceptions", index, "limit"))
            for index, exception in enumerate(budget.exceptions)
        ]
        for limit, place in limits:
            if limit > wide.limit:
                yield Suspicion(
                    place,
                    f"is never reached: {wide.name!r}, of which this is a part, has "
                    f"{amount(wide.limit, wide.unit)}",
                )


def _covers(wide: Budget, budget: Budget) -> bool:
    return _key(wide) != _key(budget) and all(
        dimension in budget.where and set(budget.where[dimension]) <= set(names)
        for dimension, names in wide.where.items()
    )


def _key(budget: Budget) -> tuple[object, ...]:
    """What is counted, and over which periods."""
    where = frozenset((dimension, frozenset(names)) for dimension, names in budget.where.items())
    return frozenset(budget.each), where, budget.unit, budget.period
