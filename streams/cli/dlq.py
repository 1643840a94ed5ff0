"""`spendstream dlq`: what was refused and why. `streams.cli.dlq_act` has what is done about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click

from schemas.dead_letters import Status
from schemas.errors import UserError
from sinks.archive import Archive
from sinks.dead_letters import DeadLetters, Entry
from streams.cli import dlq_view as view
from streams.cli.dlq_act import dead_letters, drop, named, registry_needed, replay
from streams.cli.options import connection_options
from streams.dead_letters.edit import Edit
from streams.dead_letters.show import as_document, fields_of, shown
from streams.dead_letters.verdict import Judge
from streams.rating.pricebook import PriceBook
from streams.schema_registry import schema_lookup
from streams.settings import Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader


@click.group()
def dlq() -> None:
    """Look at refused events, mend them, send them again, or drop them. Example:

    spendstream dlq list
    """


@dlq.command("list")
@click.option("--reason", metavar="CODE", help="Only this reason, letter by letter.")
@click.option(
    "--status",
    type=click.Choice([*get_args(Status), "all"]),
    default="open",
    show_default=True,
    help="Which letters.",
)
@click.option("--ids", "single", is_flag=True, help="Letter by letter.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@connection_options
def list_(
    reason: str | None,
    status: str,
    single: bool,
    as_json: bool,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """List dead letters by reason, or one by one. Times are UTC. Example:

    spendstream dlq list --reason tokens_do_not_add_up
    """
    wanted: Any = None if status == "all" else status
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    with dead_letters(settings, clickhouse_reader) as (tables, _):
        if single or reason:
            entries = tables.entries(wanted, reason)
            view.print_json(entries) if as_json else view.print_entries(entries)
        else:
            groups = tables.groups(wanted)
            view.print_json(groups) if as_json else view.print_groups(groups)


@dlq.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--raw", is_flag=True, help="Only the bytes of its value, exactly.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per letter.")
@connection_options
def show(
    ids: tuple[str, ...],
    raw: bool,
    as_json: bool,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """Show letters: bytes, reason, what would become of them now, what was done. Example:

    spendstream dlq show 91b0c1d2e3f4a5b6 --raw > event.json
    """
    if raw and (as_json or len(ids) > 1):
        raise click.UsageError("--raw is for one letter, and goes without --json")
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    with dead_letters(settings, clickhouse_reader) as (tables, archive), registry_needed():
        entries = named(tables, ids)
        if raw:
            _print_raw(tables, entries[0].letter)
        else:
            _print_letters(settings, tables, archive, entries, as_json)


def _print_raw(tables: DeadLetters, name: str) -> None:
    value = tables.letters([name])[name].value
    if value is None:
        raise UserError(f"{name} has no value, so it has no bytes")
    click.get_binary_stream("stdout").write(value)


def _print_letters(
    settings: Settings,
    tables: DeadLetters,
    archive: Archive,
    entries: Sequence[Entry],
    as_json: bool,
) -> None:
    book, lookup = PriceBook.load(settings.prices), schema_lookup(settings)
    history = tables.history([entry.letter for entry in entries])
    for number, entry in enumerate(entries):
        letter = tables.letters([entry.letter])[entry.letter]
        # One of its own for each: what is sent with another letter is not the question here.
        (verdict,) = Judge(book, lookup, archive.places_of).judge([letter], Edit())
        trail, fields = history.get(entry.letter, []), fields_of(letter, lookup)
        if as_json:
            document = as_document(letter, entry.status, verdict, trail, fields)
            click.echo(json.dumps(document))
            continue
        if number:
            click.echo()
        for line in shown(letter, entry.status, verdict, trail, fields):
            click.echo(line)


dlq.add_command(replay)
dlq.add_command(drop)
