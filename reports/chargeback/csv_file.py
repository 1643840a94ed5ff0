"""Statements as CSV: money as exact decimal text, a line for each line of the statement."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from reports.chargeback.document import COLUMNS, NO_DEPARTMENT, Paper, exact, rows

SUMMARY = (
    *("month", "department", "closing", "usage_usd", "restated_usd", "shared_usd", "markup_usd"),
    *("total_usd", "currency", "rate", "amount", "calls_without_cost"),
)


def statement_csv(paper: Paper) -> bytes:
    """The lines of one statement."""
    return _csv(COLUMNS, list(rows(paper)))


def summary_csv(papers: Sequence[Paper]) -> bytes:
    """A line for each statement of a month."""
    return _csv(SUMMARY, [_summary(paper) for paper in papers])


def _summary(paper: Paper) -> dict[str, str]:
    statement, closing = paper.statement, paper.asof.closing
    return {
        "month": f"{paper.asof.month:%Y-%m}",
        "department": statement.department or NO_DEPARTMENT,
        "closing": "" if closing is None else str(closing.number),
        "usage_usd": exact(statement.usage),
        "restated_usd": exact(statement.restated),
        "shared_usd": exact(statement.shared_cost),
        "markup_usd": exact(statement.markup),
        "total_usd": exact(statement.total),
        "currency": paper.rules.currency,
        "rate": exact(paper.rules.rate),
        "amount": f"{statement.amount:f}",
        "calls_without_cost": str(statement.unpriced),
    }


def _csv(columns: Sequence[str], lines: Sequence[dict[str, str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().encode()
