"""The charts' data in a terminal: bars of blocks for parts, a line of blocks for days."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.table import Table as RichTable
from rich.text import Text

from reports.figures.figure import Table
from sinks.amounts import amount_text

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_PARTS = " ▏▎▍▌▋▊▉█"
WIDTH = 30
"""Cells of the longest bar."""


def sparkline(values: Sequence[Decimal | int | None]) -> str:
    """A character for each value, from nothing to the largest; a dot where it is not known."""
    known = [value for value in values if value is not None]
    top = max(known, default=0)
    return "".join(
        "·" if value is None else _EIGHTHS[_step(value, top, len(_EIGHTHS) - 1)] for value in values
    )


def bar(value: Decimal | int, largest: Decimal | int, width: int = WIDTH) -> str:
    """A bar of eighths of cells; what is there at all is never without a trace."""
    eighths = _step(value, largest, width * 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_PARTS[rest] if rest else "")


def bars(table: Table, name: str, measure: str, unit: str) -> RichTable:
    """The data of `parts_chart`: names, bars and amounts, in the table's order."""
    drawn = RichTable(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    drawn.add_column(overflow="fold")
    drawn.add_column(no_wrap=True)
    drawn.add_column(justify="right")
    rows = table.records()
    largest = max((row[measure] for row in rows if row[measure] is not None), default=0)
    for row in rows:
        value = row[measure]
        label = Text("none" if row[name] in {None, ""} else str(row[name]))
        if value is None:
            drawn.add_row(label, "", "–")
        else:
            drawn.add_row(label, Text(bar(value, largest), "blue"), amount_text(value, unit))
    return drawn


def days(table: Table, measure: str, unit: str) -> Text:
    """The data of a chart by day as one line: a sparkline with its first and last day and top."""
    rows = table.records()
    if not rows:
        return Text("no days")
    known = [row[measure] for row in rows if row[measure] is not None]
    text = Text(f"{rows[0]['day']} ")
    text.append(sparkline([row[measure] for row in rows]), "blue")
    text.append(f" {rows[-1]['day']}")
    if known:
        text.append(f"  at most {amount_text(max(known), unit)} a day", "dim")
    return text


def _step(value: Any, top: Any, steps: int) -> int:
    """Which of the steps a value is at; at least the first where there is something."""
    if top <= 0 or value <= 0:
        return 0
    return max(1, min(steps, round(Decimal(value) / Decimal(top) * steps)))
