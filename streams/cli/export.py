"""`spendstream export`: the ledger and the archive as files for other tools."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from schemas.errors import UserError
from sinks.parquet import MONTHS, Exported, export_month
from streams.cli.export_focus import focus
from streams.cli.months import Month as Month
from streams.cli.options import FOLDER
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader

MOST_MONTHS = 1200


@click.group()
def export() -> None:
    """Write what was spent to files. Example:

    spendstream export parquet spend --from 2026-10 --to 2026-11 --out exports
    """


export.add_command(focus)


@export.command()
@click.argument("table", type=click.Choice(list(MONTHS)))
@click.option("--from", "first", type=Month(), required=True, metavar="MONTH", help="UTC.")
@click.option(
    "--to", "last", type=Month(), metavar="MONTH", help="Included.  [default: that of --from]"
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def parquet(
    table: str,
    first: date,
    last: date | None,
    out: Path,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Write a table as Parquet, a file for each month, money as decimals. Example:

        spendstream export parquet usage --from 2026-10 --out exports

    Columns: docs/sql.md. A file that is there already is replaced once the new one is whole.
    """
    last = last or first
    if last < first:
        raise UserError(f"--to: {last:%Y-%m} is before --from {first:%Y-%m}; exchange them")
    connection = clickhouse_reader(settings_for(folder, clickhouse=clickhouse))
    try:
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            months = list(_months(first, last))
            for month in progress.track(months, description=table):
                _say(export_month(connection, table, month, out), as_json)
    finally:
        connection.close()


def _months(first: date, last: date) -> list[date]:
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    if count > MOST_MONTHS:
        raise UserError(f"--to: {count:,} months are too many; at most {MOST_MONTHS:,}")
    numbers = (first.year * 12 + first.month - 1 + more for more in range(count))
    return [date(number // 12, number % 12 + 1, 1) for number in numbers]


def _say(written: Exported, as_json: bool) -> None:
    if as_json:
        document = {"file": str(written.path), "rows": written.rows, "bytes": written.size}
        click.echo(json.dumps(document))
    else:
        click.echo(f"{written.path}: {written.rows:,} rows, {written.size:,} bytes")
