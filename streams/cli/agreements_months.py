"""Agreements over several months: a line for each, to see whether one would pay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.figures.period import Period
from schemas.errors import UserError
from streams.agreements.statement import Statement, Statements
from streams.cli.usd_words import NOTHING, pico_text

MOST = 36
"""Months at once: a typing error in a year would ask for thousands."""


def months_since(first: date, last: date) -> list[date]:
    """Firsts of the months from ``first`` to ``last``, both included. Raises UserError."""
    if first > last:
        raise UserError(f"--since: {first:%Y-%m} is after --month {last:%Y-%m}; exchange them")
    found = list(_months(first, last))
    if len(found) > MOST:
        raise UserError(f"--since: {len(found)} months; at most {MOST} at once")
    return found


def _months(first: date, last: date) -> Iterator[date]:
    month = first
    while month <= last:
        yield month
        month = Period.month_of(month).last + timedelta(days=1)


def print_months(console: Console, found: Sequence[Statements]) -> None:
    """A table for each agreement: a line for each month, and all of them together."""
    console.print(Text(f"\nBy month, {found[0].month:%Y-%m} to {found[-1].month:%Y-%m}"))
    for of_agreement in zip(*(one.statements for one in found), strict=True):
        agreement = of_agreement[0].agreement
        what = " (proposed: what if)" if agreement.proposed else ""
        console.print(Text(f"\n{agreement.name}{what}", style="bold"))
        console.print(_table(of_agreement))


def _table(statements: Sequence[Statement]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), pad_edge=False, header_style="bold")
    for head in ("month", "eligible", "rebate", "shortfall", "owed", "saved"):
        table.add_column(head, justify="left" if head == "month" else "right")
    total = [0] * 5
    for one in statements:
        settled = one.settled
        if not one.in_force:
            table.add_row(f"{one.month:%Y-%m}", pico_text(settled.eligible.spend), *[NOTHING] * 4)
            continue
        amounts = [
            settled.eligible.spend,
            settled.rebate,
            settled.shortfall,
            settled.owed,
            settled.saved,
        ]
        total = [before + amount for before, amount in zip(total, amounts, strict=True)]
        table.add_row(f"{one.month:%Y-%m}", *map(pico_text, amounts))
    table.add_row(*(Text(cell, style="bold") for cell in ("in force", *map(pico_text, total))))
    return table
