"""The first sentences of the board's report: what happened, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from reports.board.measures import LINE
from reports.board.model import Board
from reports.figures.figure import Figure
from reports.page.words import NOTHING, shown


def value(figure: Figure | None) -> str:
    """A figure as it is shown; – where it is not known."""
    return NOTHING if figure is None else shown(figure.kind, figure.value, figure.unit)


def span_words(board: Board) -> str:
    """`November 2026`, or `1 to 17 November 2026` while it is not over."""
    month = f"{board.month.first:%B %Y}"
    if board.is_over:
        return month
    last = board.lens.period.last.day
    return f"1 {month}" if last == 1 else f"1 to {last} {month}"


def summary(board: Board) -> list[str]:
    """Sentences, the most important first."""
    said = (*_spend(board), *_budget(board), *_tiers(board), *_waste(board), *_savings(board))
    return [f"{sentence[0].upper()}{sentence[1:]}" for sentence in said]


def _spend(board: Board) -> Iterator[str]:
    figures = board.figures
    before = f"{board.month.previous.first:%B}"
    against = before if board.is_over else f"the same days of {before}"
    begun = "On" if board.lens.period.days == 1 else "From"
    when = f"{'In' if board.is_over else begun} {span_words(board)}"
    text = f"{when} calls of AI models cost {value(figures['spend'])}"
    change = figures.get("change")
    if change is None:
        yield f"{text}; nothing was spent in {against}."
    else:
        size = shown("share", abs(Decimal(change.value)))
        more = "more" if change.value >= 0 else "less"
        yield f"{text}, {size} {more} than in {against} ({value(figures['previous'])})."
    if "forecast" in figures:
        end = value(figures["forecast"])
        yield f"If the days to come are like those so far, the month ends at {end}."


def _budget(board: Board) -> Iterator[str]:
    figures = board.figures
    if (limit := figures.get("budget_limit")) is None:
        yield "There is no budget of money for the whole organisation in this month."
        return
    share = figures["budget_share"]
    if share.value is None:
        yield f"How much of the organisation's budget of {value(limit)} is used is not known."
        return
    yield f"{value(share)} of the organisation's budget of {value(limit)} is used."


def _tiers(board: Board) -> Iterator[str]:
    calls, named = board.figures["cheap_calls"], board.figures["tiered_calls"]
    if calls.value is None or not named.value:
        yield "No call says which tier of models it used: nobody knows how many could be cheaper."
        return
    side = "above" if calls.value > Decimal(LINE) else "below"
    if calls.value == Decimal(LINE):
        side = "on"
    yield f"{value(calls)} of calls ran on cost-optimised models, {side} the line of 50 %."


def _waste(board: Board) -> Iterator[str]:
    share = board.figures["wasted_share"]
    if share.value is not None:
        yield f"Failures and retries took {value(share)} of the spend."


def _savings(board: Board) -> Iterator[str]:
    total = board.savings.total
    if total is not None and total.high > 0:
        low, high = (shown("usd", amount, "USD") for amount in (total.low, total.high))
        much = low if low == high else f"Between {low} and {high}"
        yield f"{much} of it could have been saved; page 2 says how."
