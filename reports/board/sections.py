"""The tables of the board's report as text: what a row shows, and in which columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from reports.board.model import Board
from reports.board.references import References
from reports.figures.figure import Table
from reports.page.words import NOTHING, shown

NAME = 34
"""Characters of a name; a longer one would break the lines of a table."""

Shown = tuple[list[dict[str, Any]], list[list[str]], str | None]
"""Columns, rows, and a note under them."""


def section(refs: References, table: Table, rows: Shown, empty: str) -> dict[str, Any]:
    """A table with its title; ``empty``: what is said where it has no rows."""
    columns, lines, note = rows
    shown_table = {"columns": columns, "rows": lines, "empty": empty, "note": note}
    return {"title": table.title, "ref": refs.to(table), "sentences": [], "table": shown_table}


def rows_of(board: Board, name: str) -> Shown:
    """The table of this name, as it is shown."""
    return _ROWS[name](board)


def _budgets(board: Board) -> Shown:
    """A month that is over is heading nowhere any more."""
    titles = ("Budget", "Members", "Limit", "Used", "", "At their limit")
    lines = []
    for row in board.budgets.records():
        unit = row["unit"]
        line = [
            name(row["budget"]),
            NOTHING if row["whole"] else shown("count", row["members"]),
            shown("amount", row["limit"], unit),
            shown("amount", row["used"], unit),
            shown("share", row["share"]),
            shown("count", row["over"]),
        ]
        if not board.is_over:
            line += [shown("amount", row["forecast"], unit), shown("count", row["heading_over"])]
        lines.append(line)
    if board.is_over:
        return _columns(*titles), lines, None
    return _columns(*titles, "Forecast", "Heading over it"), lines, None


def _outcomes(board: Board) -> Shown:
    columns = _columns("Outcome", "Team", "Use case", "How many", "Spend", "Per outcome", texts=3)
    lines = [
        [
            name(row["name"].replace("_", " ")),
            name(row["team"]),
            name(row["use_case"], "all"),
            shown("count", row["outcomes"]),
            shown("usd", row["cost"], "USD"),
            shown("usd", row["each"], "USD"),
        ]
        for row in board.outcomes.records()
    ]
    return columns, lines, None


def _top(table: Table, key: str, board: Board) -> Shown:
    what = key.replace("_", " ")
    columns = _columns(what.capitalize(), "Spend", "Share", "Calls")
    lines = [
        [
            name(row[key], f"(no {what})"),
            shown("money", row["spend"], board.lens.currency),
            shown("share", row["share"]),
            shown("count", row["calls"]),
        ]
        for row in table.records()
    ]
    return columns, lines, _more(table, len(lines))


def _restated(board: Board) -> Shown:
    columns = _columns("Month", "Changed by", "Now", "Last change")
    lines = [
        [
            month_name(row["month"]),
            shown("money", row["restated"], "USD"),
            shown("money", row["cost"], "USD"),
            f"{row['at']:%Y-%m-%d}",
        ]
        for row in board.restated.records()
    ]
    return columns, lines, None


_ROWS: dict[str, Callable[[Board], Shown]] = {
    "budgets": _budgets,
    "outcomes": _outcomes,
    "departments": lambda board: _top(board.departments, "department", board),
    "teams": lambda board: _top(board.teams, "team", board),
    "use_cases": lambda board: _top(board.use_cases, "use_case", board),
    "models": lambda board: _top(board.models, "model", board),
    "restated": _restated,
}


def _more(table: Table, lines: int) -> str | None:
    """How many there are, where not all of them are shown."""
    of = table.of or len(table.rows)
    return f"The {lines} dearest of {of:,}." if of > lines else None


def name(text: str | None, nothing: str = NOTHING) -> str:
    """A name, cut where it is too long for a line."""
    if text is None:
        return nothing
    return text if len(text) <= NAME else f"{text[: NAME - 1]}…"


def month_name(day: date) -> str:
    """`November 2026`."""
    return f"{day:%B %Y}"


def _columns(*titles: str, texts: int = 1) -> list[dict[str, Any]]:
    """The first ``texts`` hold text, the others numbers."""
    return [{"title": title, "number": at >= texts} for at, title in enumerate(titles)]
