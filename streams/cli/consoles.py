"""The terminal, or the pipe in its place, and tables in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def wide_console(*, stderr: bool = False) -> Console:
    """A console; a pipe has no width, so nothing is cut there."""
    console = Console(highlight=False, stderr=stderr)
    return console if console.is_terminal else Console(highlight=False, stderr=stderr, width=10_000)


def plain_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]] = (), numbers: Collection[int] = ()
) -> Table:
    """A table without lines; the columns ``numbers`` (from 0) are set to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # texts, as a name may look like markup
    return table
