"""The board's report for machines: every figure exact, with its definition and its SQL."""

from __future__ import annotations

from typing import Any

from reports.board.model import Board
from reports.figures.figure import Figure, Table, exact_text
from reports.savings.model import Range, Saving


def as_document(board: Board) -> dict[str, Any]:
    """JSON. Numbers are exact text; null: not known. Times are UTC."""
    return {
        "month": f"{board.month.first:%Y-%m}",
        "through": board.lens.period.last.isoformat(),
        "currency": board.lens.currency,
        "as_of": board.as_of.minute.isoformat(),
        "journal": board.as_of.journal,
        "position": board.as_of.position,
        "figures": {name: _figure(one) for name, one in board.figures.items()},
        "tables": {one.name: _table(one) for one in board.tables()},
        "savings": _savings(board),
    }


def _figure(one: Figure) -> dict[str, Any]:
    return {
        "title": one.title,
        "value": _exact(one.value),
        "unit": one.unit or None,
        "definition": one.definition,
        "sql": one.sql,
    }


def _table(one: Table) -> dict[str, Any]:
    rows = [{name: _exact(value) for name, value in row.items()} for row in one.records()]
    return {"title": one.title, "rows": rows, "definition": one.definition, "sql": one.sql}


def _savings(board: Board) -> dict[str, Any]:
    found = board.savings
    return {"total_usd": _range(found.total), "kinds": [_kind(one) for one in found.kinds]}


def _kind(one: Saving) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "title": one.title,
        "calls": one.calls,
        "cost_usd": _exact(one.cost),
        "alone_usd": _range(one.alone),
        "added_usd": _range(one.added),
        "assumptions": list(one.assumptions),
        "not_estimated": list(one.not_estimated),
        "sql": one.sql,
    }


def _range(found: Range | None) -> dict[str, str] | None:
    if found is None:
        return None
    return {"low": exact_text(found.low), "high": exact_text(found.high)}


def _exact(value: object) -> str | None:
    return None if value is None else exact_text(value)
