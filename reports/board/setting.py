"""Sets the board's report: which figure stands where, as text for the template."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from reports.board.measures import LINE
from reports.board.model import Board
from reports.board.references import References
from reports.board.savings_section import savings_section
from reports.board.sections import rows_of, section
from reports.board.summary import span_words, summary, value
from reports.charts.cumulative import cumulative_chart
from reports.charts.tier_months import tier_months_chart
from reports.figures.figure import Figure

CHART = {"width": 340, "height": 215}
"""Pixels; two stand side by side."""

Document = dict[str, Any]


def document(board: Board) -> Document:
    """Everything that the template shows but the pictures: `specifications` has these."""
    refs = References()
    figures, lens = board.figures, board.lens
    tiles = [_tile(refs, *one) for one in _tiles(board)]
    charts = [
        {
            "title": f"Spend as it added up, {lens.currency}",
            "ref": refs.to(figures["spend"]),
            "alt": "Two lines: spend so far by day of this month and of the month before.",
        },
        {
            "title": "Share on cost-optimised models",
            "ref": refs.to(board.tiers),
            "alt": "Columns by month: share of calls and of spend, against a line at 50 %.",
        },
    ]
    first = [
        section(refs, board.budgets, rows_of(board, "budgets"), _NO_BUDGETS),
        section(refs, board.outcomes, rows_of(board, "outcomes"), _NO_OUTCOMES),
    ]
    refs.number("By department, team, use case and model", board.departments.definition)
    beside = [
        section(refs, board.departments, rows_of(board, "departments"), ""),
        section(refs, board.teams, rows_of(board, "teams"), ""),
    ]
    second = [
        section(refs, board.use_cases, rows_of(board, "use_cases"), ""),
        section(refs, board.models, rows_of(board, "models"), ""),
        _words(refs, board, "What was wasted", _WASTED),
        _words(refs, board, "What caches saved", _CACHED),
        _words(refs, board, "How far to trust these figures", _TRUST),
        section(refs, board.restated, rows_of(board, "restated"), _NOT_RESTATED),
    ]
    wide = [savings_section(refs, board)]
    as_of = board.as_of
    return {
        "title": f"What AI cost in {board.month.first:%B %Y}",
        "subtitle": (
            f"The whole organisation, {span_words(board)}. Days are UTC. Money is in "
            f"{lens.currency}{_rate_words(lens.currency)}; small numbers lead to definitions on "
            "page 2."
        ),
        "summary": summary(board),
        "tiles": tiles,
        "charts": charts,
        "first": first,
        "beside": beside,
        "second": second,
        "wide": wide,
        "definitions": refs.columns(),
        "foot": (
            f"As of {as_of.minute:%Y-%m-%d %H:%M} UTC, the ledger's newest minute; entry "
            f"{as_of.position:,} of journal {as_of.journal}"
        ),
    }


def specifications(board: Board) -> list[dict[str, Any]]:
    """The charts, in the order in which the document shows them."""
    limit = board.figures.get("budget_limit")
    same = limit is not None and limit.unit == board.lens.currency
    names = (f"{board.month.first:%B %Y}", f"{board.month.previous.first:%B %Y}")
    return [
        _styled(
            cumulative_chart(
                board.by_day,
                board.by_day_before,
                board.lens.currency,
                names,
                limit=limit.value if limit is not None and same else None,
                **CHART,
            )
        ),
        _styled(tier_months_chart(board.tiers, **CHART)),
    ]


def _tiles(board: Board) -> list[tuple[str, Figure | None, str, bool, Sequence[Figure]]]:
    """Title, figure, note, whether it warns, and what else it refers to."""
    figures = board.figures
    before = "the month before" if board.is_over else "the same days of the month before"
    share, forecast = figures.get("budget_share"), figures.get("budget_forecast")
    used = "no budget for the whole organisation"
    if share is not None:
        used = f"of {value(figures['budget_limit'])}"
        if not board.is_over and forecast is not None and forecast.value is not None:
            used += f"; forecast {value(forecast)}"
    cheap = figures["cheap_calls"]
    tiers = f"{value(figures['cheap_spend'])} of spend; the line is 50 %"
    if not figures["tiered_calls"].value:
        tiers = "no call names a tier"
    below = bool(figures["tiered_calls"].value) and cheap.value < Decimal(LINE)
    over = share is not None and share.value is not None and share.value >= 1
    coming = figures.get("forecast")
    spent, also = f"in {value(figures['calls'])} calls", [figures["calls"]]
    if coming is not None:
        spent, also = f"{spent}; forecast {value(coming)}", [*also, coming]
    return [
        ("Spend", figures["spend"], spent, False, also),
        (
            f"Against {before}",
            figures.get("change"),
            f"{value(figures['previous'])} then",
            False,
            [figures["previous"]],
        ),
        ("Budget used", share, used, over, []),
        (
            "Per active user",
            figures["per_user"],
            f"{value(figures['users'])} user{'' if figures['users'].value == 1 else 's'}",
            False,
            [figures["users"]],
        ),
        (
            "Calls on cost-optimised models",
            cheap,
            tiers,
            below,
            [figures["cheap_spend"]],
        ),
        (
            "Failures and retries",
            figures["wasted"],
            f"{value(figures['wasted_share'])} of spend",
            False,
            [figures["wasted_share"]],
        ),
    ]


def _tile(
    refs: References,
    title: str,
    figure: Figure | None,
    note: str,
    warn: bool,
    more: Sequence[Figure],
) -> dict[str, Any]:
    shown = [one for one in (figure, *more) if one is not None]
    ref = refs.to(*shown) if shown else None
    return {"title": title, "value": value(figure), "note": note, "warn": warn, "ref": ref}


def _words(refs: References, board: Board, title: str, names: Sequence[str]) -> dict[str, Any]:
    """A section of figures, one to a line."""
    figures = [board.figures[name] for name in names]
    rows = [[f"{one.title[:1].upper()}{one.title[1:]}", value(one)] for one in figures]
    columns = [{"title": "", "number": False}, {"title": "", "number": True}]
    table = {"columns": columns, "rows": rows, "empty": "", "note": None}
    return {"title": title, "ref": refs.to(*figures), "sentences": [], "table": table}


def _rate_words(currency: str) -> str:
    if currency == "USD":
        return ""
    return " by the budgets file's rate of each day, but for what is in USD ($)"


def _styled(specification: dict[str, Any]) -> dict[str, Any]:
    """In the font of the document."""
    config = {**specification.get("config", {}), "font": "Libertinus Serif"}
    return {**specification, "config": config, "background": "white"}


_WASTED = ("wasted", "failed", "retried", "wasted_calls")
_CACHED = ("cache_saved", "cache_hits", "cached_share")
_TRUST = (
    "not_in_cost",
    "not_in_cost_share",
    "estimated_share",
    "tiered_calls",
    "no_project_share",
    "no_use_case_share",
    "no_user_share",
)
_NO_BUDGETS = (
    "No budget of this month is on record. Budgets are set in a file that a running guard watches."
)
_NO_OUTCOMES = (
    "No business outcome was reported in this month. Services report them, such as a resolved "
    "ticket, as docs/routing-report.md says; then this table has what one costs."
)
_NOT_RESTATED = "No closed month has changed since it was closed."
