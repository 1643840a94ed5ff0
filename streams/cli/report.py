"""`spendstream report`: figures that answer a question of management."""

from __future__ import annotations

import click

from streams.cli.report_board import board
from streams.cli.report_maturity import maturity_command
from streams.cli.report_routing import routing
from streams.cli.report_savings import savings_command
from streams.cli.report_spend import spend
from streams.cli.report_statement import statement
from streams.cli.report_vendors import vendors


@click.group()
def report() -> None:
    """Figures that answer a question: who spent what, what would save, where do we stand? Example:

    spendstream report spend --from 2026-11-01 --to 2026-11-30
    """


report.add_command(board)
report.add_command(maturity_command)
report.add_command(routing)
report.add_command(savings_command)
report.add_command(spend)
report.add_command(statement)
report.add_command(vendors)
