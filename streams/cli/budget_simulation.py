"""`spendstream budgets simulate`: which alerts a file would have raised over past usage."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streams.budgets.budget_file import read_budgets
from streams.cli.budget_outcome import as_document, print_outcome
from streams.cli.days import Day
from streams.cli.options import FOLDER
from streams.detectors.settings_file import Detectors, read_detectors
from streams.simulation.run import Days, simulate
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader


@click.command("simulate")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="First day.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="Last day, included.")
@click.option(
    "--detectors",
    "detectors_file",
    type=click.Path(path_type=Path),
    help="Detectors file.  [default: the running stack's, or SPENDSTREAM_DETECTORS]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def simulation(
    file: Path,
    first: date,
    last: date,
    detectors_file: Path | None,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Say which alerts there would have been over past usage, with the budgets of FILE. Example:

        spendstream budgets simulate budgets.yaml --from 2026-03-01 --to 2026-03-31

    Days are those of the file's time zone. Nothing is sent, and nothing is written.
    """
    settings = settings_for(folder, clickhouse=clickhouse)
    book = read_budgets(file)
    path = detectors_file or settings.detectors
    detectors = read_detectors(path) if path else Detectors()
    days = Days.of(first, last, book.timezone, datetime.now(UTC))
    connection = clickhouse_reader(settings)
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        redirect_stdout=False,
        transient=True,
    )
    zone = ZoneInfo(book.timezone)
    try:
        with bar:
            task = bar.add_task("the time before", total=(days.end - days.start).total_seconds())

            def told(now: datetime) -> None:
                if now >= days.start:
                    done = (now - days.start).total_seconds()
                    day = f"{now.astimezone(zone):%Y-%m-%d}"
                    bar.update(task, completed=done, description=day)

            outcome = simulate(settings, book, detectors, connection, days, told)
    finally:
        connection.close()
    if as_json:
        click.echo(json.dumps(as_document(outcome, book)))
    else:
        print_outcome(outcome, book)
