"""`spendstream import`: usage that other systems have recorded, onto the usage topic, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from schemas.errors import UserError
from streams.cli.options import connection_options, run
from streams.cli.replay import landed
from streams.imports.attribution import Attribution, parse_map
from streams.imports.convert import Converter
from streams.imports.documents import Document, ExportFile
from streams.imports.known import known_events
from streams.imports.litellm import LITELLM
from streams.imports.postgres import is_url, shown_url, spend_logs
from streams.imports.run import Import, file_batches
from streams.imports.source import Source
from streams.imports.sources import SOURCES
from streams.imports.tally import Tally
from streams.settings import Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader
from streams.traffic.publish import publish, usage_producer

Batches = Callable[[], AsyncIterator[Sequence[Document]]]


@click.command("import")
@click.argument("place", metavar="FILE")
@click.option(
    "--from",
    "source_name",
    type=click.Choice(list(SOURCES)),
    required=True,
    help="What wrote the export.",
)
@click.option("--team", help="Team of the rows that name none.")
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="KEY=FIELD",
    help="A field of the export, and the field of the event that it becomes. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Only read, and say what would be sent.")
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the rows that could not be read, one JSON object per line.",
)
@click.option("--allow-rejects", is_flag=True, help="Exit code 0 even if some rows were not read.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until ClickHouse has it.")
@connection_options
def import_(
    place: str,
    source_name: str,
    team: str | None,
    pairs: tuple[str, ...],
    dry_run: bool,
    rejects: Path | None,
    allow_rejects: bool,
    as_json: bool,
    wait: bool,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """Import the usage that FILE records. Importing it again, or an export that overlaps it,
    adds only what is new.

    FILE is CSV, JSONL or JSON, also packed with gzip; for litellm also the address of its
    database. Exit code 1 where rows could not be read. Example:

        spendstream import spend.csv --from litellm --rejects rejects.jsonl
    """
    source = SOURCES[source_name]
    if team is not None and not team.strip():
        raise UserError("--team is empty; name the team that pays for rows without one")
    attribution = Attribution(team, parse_map(pairs, source))
    name, taken, file = _opened(place, source)
    tally = Tally(unit=file.unit if file else "row")
    settings = None
    if not dry_run:
        settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    console = Console(highlight=False, stderr=as_json, soft_wrap=True)
    converter = Converter(source, attribution, taken)
    batches: Batches = (lambda: file_batches(file)) if file else (lambda: spend_logs(place))
    with _list_of(rejects) as tally.rejects, _bar(console, file) as (bar, advanced):
        if settings is None:
            job = Import(name, converter, tally, None, None)
            asyncio.run(job.run(batches(), advanced))
        else:
            run(settings, _sent(settings, name, converter, tally, batches, advanced))
            if wait and tally.sent:
                run(settings, landed(settings, bar))
    _tell(console, tally, f"{name} ({source.name})", rejects, as_json=as_json, dry=dry_run)
    if tally.lost and not allow_rejects:
        raise click.exceptions.Exit(1)


def _opened(place: str, source: Source) -> tuple[str, datetime, ExportFile | None]:
    """The export's name, when it was made at the latest, and its file; None: a database."""
    if not is_url(place):
        file = ExportFile(Path(place))
        return place, file.taken, file
    if source is not LITELLM:
        raise UserError(f"{shown_url(place)}: a database is read for {LITELLM.name} only")
    return shown_url(place), datetime.now(UTC), None


async def _sent(
    settings: Settings,
    name: str,
    converter: Converter,
    tally: Tally,
    batches: Batches,
    advanced: Callable[[], None],
) -> None:
    connection = clickhouse_reader(settings)
    producer = usage_producer(settings)
    try:
        await producer.start()
        job = Import(
            name,
            converter,
            tally,
            lambda ids: known_events(connection, ids),
            lambda records: publish(producer, records, 0, lambda _: None),
        )
        await job.run(batches(), advanced)
    finally:
        await producer.stop()
        connection.close()


@contextmanager
def _list_of(rejects: Path | None) -> Iterator[IO[str] | None]:
    if rejects is None:
        yield None
        return
    try:
        list_of_rejects = rejects.open("w", encoding="utf-8")
    except OSError as error:
        raise UserError(f"--rejects {rejects}: {error.strerror}; name a file to write") from error
    with list_of_rejects:
        yield list_of_rejects


@contextmanager
def _bar(
    console: Console, file: ExportFile | None
) -> Iterator[tuple[Progress, Callable[[], None]]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("importing", total=file.size if file else None)

        def advanced() -> None:
            if file is not None:
                bar.update(task, completed=file.position)

        yield bar, advanced


def _tell(
    console: Console, tally: Tally, name: str, rejects: Path | None, *, as_json: bool, dry: bool
) -> None:
    if as_json:
        click.echo(json.dumps(tally.as_document() | {"dry_run": dry}))
        return
    for line in tally.lines(name, dry=dry):
        console.print(line, markup=False)
    if tally.lost and rejects is not None:
        console.print(f"  each of them with its reason: {rejects}", markup=False)
    elif tally.lost:
        console.print("  --rejects FILE lists each of them with its reason")
    if not dry:
        console.print("next: spendstream reconcile proves that every copy of it agrees")
