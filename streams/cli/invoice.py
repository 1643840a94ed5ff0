"""`spendstream invoice`: what providers charge, against what was metered."""

from __future__ import annotations

import click

from streams.cli.invoice_import import import_
from streams.cli.invoice_report import report
from streams.cli.invoice_true_up import true_up_


@click.group()
def invoice() -> None:
    """What a provider charges, against what was metered: import, compare, true up. Example:

    spendstream invoice import costs.csv --provider openai
    """


invoice.add_command(import_)
invoice.add_command(report)
invoice.add_command(true_up_)
