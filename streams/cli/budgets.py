"""`spendstream budgets`: what a file means, where its budgets stand, what it would have said."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from streams.budgets.book import Budget, BudgetBook
from streams.budgets.budget_file import open_budgets
from streams.budgets.describe import in_words, length
from streams.budgets.periods import Rolling
from streams.budgets.seen_names import unseen_names
from streams.budgets.suspicions import Suspicion, suspicions
from streams.cli.options import FOLDER
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader

LEDGER_COMMANDS = {
    "status": "streams.cli.budget_status:status",
    "simulate": "streams.cli.budget_simulation:simulation",
}


class BudgetsGroup(click.Group):
    """Imports what reads the ledger when it is used: to check a file must not wait for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of their use."""
        return [*super().list_commands(ctx), *LEDGER_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name."""
        if cmd_name not in LEDGER_COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute = LEDGER_COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=BudgetsGroup)
def budgets() -> None:
    """Check a budgets file, try it on past usage, and see where its budgets stand. Example:

    spendstream budgets check budgets.yaml
    """


@budgets.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--ledger", is_flag=True, help="Also look whether the ledger knows the names.")
@click.option("--json", "as_json", is_flag=True, help="Budgets and warnings as one JSON object.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def check(file: Path, ledger: bool, as_json: bool, folder: Path, clickhouse: str | None) -> None:
    """Say in words what each budget of a file means, and warn of what has no effect. Example:

        spendstream budgets check budgets.yaml --ledger

    Exit code 0: all is well; 1: there are warnings; 2: the file has a mistake, and the guard would
    not take it.
    """
    source, book = open_budgets(file)
    found = list(suspicions(book, datetime.now(UTC)))
    if ledger:
        found += _of_the_ledger(book, folder, clickhouse)
    found.sort(key=lambda suspicion: source.line_of(suspicion.loc))
    warnings = [
        {"line": source.line_of(each.loc), "text": str(source.error(each.loc, each.message))}
        for each in found
    ]
    if as_json:
        described = [_as_json(budget, book) for budget in book.budgets]
        click.echo(json.dumps({"budgets": described, "warnings": warnings}))
    else:
        for budget in book.budgets:
            click.echo(in_words(budget, book))
        for warning in warnings:
            click.echo(f"warning: {warning['text']}")
    if warnings:
        raise click.exceptions.Exit(1)


def _of_the_ledger(book: BudgetBook, folder: Path, clickhouse: str | None) -> list[Suspicion]:
    connection = clickhouse_reader(settings_for(folder, clickhouse=clickhouse))
    try:
        return list(unseen_names(book, connection))
    finally:
        connection.close()


def _as_json(budget: Budget, book: BudgetBook) -> dict[str, Any]:
    period = budget.period
    fields = budget.model_dump(mode="json")
    fields["period"] = {"rolling": length(period)} if isinstance(period, Rolling) else period
    return {**fields, "text": in_words(budget, book)}
