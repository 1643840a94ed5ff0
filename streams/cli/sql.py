"""`spendstream sql`: ask ClickHouse."""

from __future__ import annotations

import csv
import datetime
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from streams.cli.options import connection_options
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect_writer
from streams.stores import clickhouse_reader


@click.command()
@click.argument("statement")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per row.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a header.")
@click.option("--write", is_flag=True, help="As the user that writes, not as the reader.")
@connection_options
def sql(
    statement: str,
    as_json: bool,
    as_csv: bool,
    write: bool,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """Run one SQL statement. Views and example queries: docs/sql.md. Example:

    spendstream sql "SELECT team, sum(cost) FROM spend GROUP BY team ORDER BY 2 DESC"
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv: choose one")
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    connection = connect_writer(settings) if write else clickhouse_reader(settings)
    try:
        names, rows = connection.query_columns(statement)
    finally:
        connection.close()
    if as_json:
        for row in rows:
            click.echo(json.dumps(dict(zip(names, row, strict=True)), default=_plain))
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows([_text(value) for value in row] for row in rows)
    else:
        _print_table(names, rows)


def _print_table(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    table = Table(show_edge=False, header_style="bold")
    for position, name in enumerate(names):
        numeric = any(isinstance(row[position], int | Decimal) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    console = Console(highlight=False)
    if names:
        # A pipe has no width: a value must not be cut there.
        console = console if console.is_terminal else Console(highlight=False, width=10_000)
        console.print(table)


def _text(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    return str(value)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return _text(value)
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return str(value)
