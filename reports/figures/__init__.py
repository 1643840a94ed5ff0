"""Figures for people: each knows what it means, and the SQL that gives it.

Conventions, for everything that shows a figure:
- A figure is asked of a public view or summary table of docs/sql.md, and of nothing else. What is
  shown is what ClickHouse answered: nothing is added up or divided afterwards.
- `Figure.sql` and `Table.sql` run as they stand in `spendstream sql` and give the same, to the last
  digit. The queries themselves bind their values; only the text that a reader sees has them in it.
- Money is Decimal, in `Lens.currency`. None is *not known*, and is shown as –; it is never 0.
- Days are UTC, and the last one of a period is included.
- Whose spend may be seen is part of every query: build conditions with `Lens`, never beside it.
"""

from reports.figures.ask import figures, table
from reports.figures.figure import Column, Figure, Measure, Table, exact_text
from reports.figures.lens import DIMENSIONS, Lens
from reports.figures.period import Period
from reports.figures.query import Query

__all__ = [
    "DIMENSIONS",
    "Column",
    "Figure",
    "Lens",
    "Measure",
    "Period",
    "Query",
    "Table",
    "exact_text",
    "figures",
    "table",
]
