"""A statement as a PDF, set by Typst with its own fonts: no network, no browser."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from typing import Any

import typst

from reports.chargeback.document import Paper, exact, shared_words
from reports.chargeback.shares import nearest_whole, rounded_parts
from reports.chargeback.statement import Item
from schemas.errors import SpendstreamError
from sinks.amounts import number_text

NOTHING = "–"
DECIMALS = 4
"""Of USD on paper: lines of a cheap model would read as nothing with two."""
MOST_LINES = 400
"""Lines of usage on paper; the rest is summed up in one, and whole in CSV and Excel."""


class NotSet(SpendstreamError):
    """The statement could not be set."""


def statement_pdf(paper: Paper) -> bytes:
    """The PDF, tagged for readers who do not see it. The same statement makes the same bytes.

    Raises NotSet.
    """
    template = (files("reports.chargeback") / "statement.typ").read_bytes()
    closing = paper.asof.closing
    try:
        pdf: bytes = typst.compile(
            template,
            format="pdf",
            ignore_system_fonts=True,
            sys_inputs={"data": json.dumps(document(paper))},
            timestamp=None if closing is None else closing.closed_at,
        )
    except typst.TypstError as error:
        raise NotSet(f"the statement could not be set: {error.message}") from error
    return pdf


def document(paper: Paper) -> dict[str, Any]:
    """Everything that the template shows, as text."""
    statement, rules = paper.statement, paper.rules
    own = [item for item in statement.items if item.line.restated is None]
    restated = [item for item in statement.items if item.line.restated is not None]
    notes = [paper.standing, paper.conversion]
    if (unpriced := paper.unpriced) is not None:
        notes.append(unpriced)
    if rules.name:
        notes.append(f"Charged by the rules of {rules.name}.")
    return {
        "title": paper.department,
        "month": f"{paper.asof.month:%B %Y}",
        "currency": rules.currency,
        "amount": _amount(statement.amount),
        "summary": _summary(paper),
        "exact": f"{statement.total.normalize():,f}",
        "teams": _teams(own),
        "lines": _lines(own),
        "restated": [_restated(item) for item in restated],
        "shared": [
            [shared_words(one), _usd(one.total), _amount(one.amount)] for one in statement.shared
        ],
        "notes": notes,
    }


def _summary(paper: Paper) -> list[list[str]]:
    """What the total is made of, rounded so that it adds up to the total as it is shown."""
    one = paper.statement
    restated = any(item.line.restated is not None for item in one.items)
    parts = [
        ("Usage", one.usage, True),
        ("Changes to earlier months", one.restated, restated),
        ("Shared costs", one.shared_cost, bool(one.shared)),
        (f"Markup, {exact(one.percent)} % on own usage", one.markup, bool(one.percent)),
    ]
    units = [Fraction(figure) * 10**DECIMALS for _, figure, _ in parts]
    rounded = rounded_parts(units, nearest_whole(sum(units, Fraction(0))))
    shown = [
        [name, _usd(Decimal(part).scaleb(-DECIMALS))]
        for (name, _, there), part in zip(parts, rounded, strict=True)
        if there
    ]
    return [*shown, ["Total", _usd(Decimal(sum(rounded)).scaleb(-DECIMALS))]]


def _teams(items: Sequence[Item]) -> list[list[str]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.line.team, []).append(item)
    ordered = sorted(found.items(), key=lambda pair: -sum(item.total for item in pair[1]))
    return [[team, *_sums(part)] for team, part in ordered]


def _lines(items: Iterable[Item]) -> list[list[str]]:
    largest = sorted(items, key=lambda item: -item.total)
    ordered = sorted(largest[:MOST_LINES], key=lambda item: (item.line.team, -item.total))
    shown = [[*_place(item), *_figures(item)] for item in ordered]
    if rest := largest[MOST_LINES:]:
        shown.append([f"{len(rest):,} smaller lines", "", "", "", *_sums(rest)])
    return shown


def _place(item: Item) -> list[str]:
    line = item.line
    return [line.team, line.project or NOTHING, line.use_case or NOTHING, line.model]


def _restated(item: Item) -> list[str]:
    line = item.line
    return [
        f"{line.month:%Y-%m}",
        (line.restated or "").replace("_", "-"),
        line.team,
        line.model,
        *_figures(item),
    ]


def _figures(item: Item) -> list[str]:
    line = item.line
    counts = [f"{line.calls:,}", number_text(line.tokens)]
    if line.cost is None:
        return [*counts, NOTHING, NOTHING]
    return [*counts, _usd(line.cost), _amount(item.amount)]


def _sums(items: Sequence[Item]) -> list[str]:
    costs = [item.line.cost for item in items if item.line.cost is not None]
    return [
        f"{sum(item.line.calls for item in items):,}",
        number_text(sum(item.line.tokens for item in items)),
        _usd(sum(costs, Decimal(0))) if costs else NOTHING,
        _amount(sum((item.amount for item in items), Decimal(0))),
    ]


def _usd(amount: Decimal) -> str:
    return f"{amount:,.{DECIMALS}f}".replace("-", "−")


def _amount(amount: Decimal) -> str:
    return f"{amount:,f}".replace("-", "−")
