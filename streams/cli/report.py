"""`spendstream report`: figures that answer a question of management."""

from __future__ import annotations

import click

from streams.cli.report_routing import routing


@click.group()
def report() -> None:
    """Figures that answer a question: what would routing save? Example:

    spendstream report routing --from 2026-11-01 --to 2026-11-30
    """


report.add_command(routing)
