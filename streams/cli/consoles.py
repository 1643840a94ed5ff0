"""The terminal, or the pipe in its place."""

from __future__ import annotations

from rich.console import Console


def wide_console(*, stderr: bool = False) -> Console:
    """A console; a pipe has no width, so nothing is cut there."""
    console = Console(highlight=False, stderr=stderr)
    return console if console.is_terminal else Console(highlight=False, stderr=stderr, width=10_000)
