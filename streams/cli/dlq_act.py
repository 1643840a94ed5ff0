"""`spendstream dlq replay` and `spendstream dlq drop`: what is done about dead letters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from schemas.errors import SpendstreamError, UserError
from schemas.topics import USAGE
from sinks.archive import Archive
from sinks.clickhouse import ClickHouse
from sinks.dead_letters import DeadLetters, Entry
from streams.cli import dlq_view as view
from streams.cli.options import connection_options, run, whoami
from streams.dead_letters.edit import parse_edit
from streams.dead_letters.log import usage_log
from streams.dead_letters.verdict import Judge
from streams.dead_letters.workflow import FAILED, Operator, Outcome, Workflow
from streams.rating.pricebook import PriceBook
from streams.schema_registry import RegistryUnavailable, schema_lookup
from streams.settings import Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as clickhouse_writer


class Undecided(SpendstreamError):
    """What would become of a letter cannot be said now."""


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which letters: ids, `--reason` or `--all`; and what goes with every action."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object per letter."),
        click.option("--by", metavar="NAME", help="Who does it.  [default: user@host]"),
        click.option("--yes", is_flag=True, help="Do not ask before --reason and --all."),
        click.option("--all", "every", is_flag=True, help="All open letters."),
        click.option("--reason", metavar="CODE", help="All open letters with this reason."),
        click.argument("ids", nargs=-1, metavar="[ID]..."),
    ):
        command = option(command)
    return command


@click.command()
@selection_options
@click.option("--set", "assigned", multiple=True, metavar="FIELD=VALUE", help="Set a field.")
@click.option("--unset", "removed", multiple=True, metavar="FIELD", help="Remove a field.")
@click.option(
    "--value",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Send the bytes of this file instead, for one letter.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--note", default="", metavar="TEXT", help="Why, for the audit trail.")
@connection_options
def replay(
    ids: tuple[str, ...],
    reason: str | None,
    every: bool,
    yes: bool,
    by: str | None,
    as_json: bool,
    assigned: tuple[str, ...],
    removed: tuple[str, ...],
    file: Path | None,
    dry_run: bool,
    note: str,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """Send letters again, each once: as they came, or mended. Example:

        spendstream dlq replay --reason missing_field --set team=search

    Only what the meter would take now is sent; exit code 1 where something is not.
    """
    edit = parse_edit(assigned, removed, _content(file, ids))
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    with dead_letters(settings) as (tables, archive):
        entries = _selected(tables, ids, reason, every)
        if not dry_run:
            _confirm(f"send {len(entries):,} letters again?", ids, yes)
        judge = Judge(PriceBook.load(settings.prices), schema_lookup(settings), archive.places_of)
        operator = Operator(by or whoami(), note)
        _do(settings, tables, operator, as_json, lambda w: w.replay(entries, edit, judge, dry_run))


@click.command()
@selection_options
@click.option("--note", required=True, metavar="TEXT", help="Why, for the audit trail.")
@connection_options
def drop(
    ids: tuple[str, ...],
    reason: str | None,
    every: bool,
    yes: bool,
    by: str | None,
    as_json: bool,
    note: str,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """Mark letters as not to be sent. They are kept, with who, when and why. Example:

    spendstream dlq drop 91b0c1d2e3f4a5b6 --note "a load test"
    """
    if not note.strip():
        raise UserError("--note is empty; say why they are dropped")
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    with dead_letters(settings) as (tables, _):
        entries = _selected(tables, ids, reason, every)
        _confirm(f"drop {len(entries):,} letters?", ids, yes)
        operator = Operator(by or whoami(), note)
        _do(settings, tables, operator, as_json, lambda w: w.drop(entries))


@contextmanager
def dead_letters(
    settings: Settings, connect: Callable[[Settings], ClickHouse] = clickhouse_writer
) -> Iterator[tuple[DeadLetters, Archive]]:
    """The tables, and the archive to ask what is counted."""
    connection = connect(settings)
    try:
        yield DeadLetters(connection), Archive(connection, USAGE)
    finally:
        connection.close()


@contextmanager
def registry_needed() -> Iterator[None]:
    """A stage waits for the schema registry; a command says in one line that it is away."""
    try:
        yield
    except RegistryUnavailable as error:
        raise Undecided(f"{error}; letters in its framing cannot be judged without it") from error


def named(tables: DeadLetters, ids: Sequence[str]) -> list[Entry]:
    """The letters with these ids, in this order, each once. Raises UserError."""
    found = {entry.letter: entry for entry in tables.entries_of(ids)}
    for name in ids:
        if name not in found:
            raise UserError(f"no dead letter {name!r}; spendstream dlq list --ids shows them")
    return [found[name] for name in dict.fromkeys(ids)]


def _selected(
    tables: DeadLetters, ids: Sequence[str], reason: str | None, every: bool
) -> list[Entry]:
    if (bool(ids), reason is not None, every).count(True) != 1:
        raise UserError("say which letters: ids, or --reason CODE, or --all")
    if ids:
        return named(tables, ids)
    entries = tables.entries("open", reason)
    if not entries:
        there = ", ".join(group.reason for group in tables.groups("open")) or "none at all"
        about = f" with the reason {reason!r}; there are: {there}" if reason else ""
        raise UserError(f"no open letters{about}")
    return entries


def _do(
    settings: Settings,
    tables: DeadLetters,
    operator: Operator,
    as_json: bool,
    act: Callable[[Workflow], AsyncIterator[Outcome]],
) -> None:
    """Say what becomes of each letter as it happens; exit code 1 where one was left."""
    counts: Counter[str] = Counter()

    async def body() -> None:
        with registry_needed():
            async with usage_log(settings) as log:
                async for outcome in act(Workflow(tables, log, operator)):
                    counts[outcome.result] += 1
                    line = json.dumps(asdict(outcome)) if as_json else view.in_a_line(outcome)
                    click.echo(line)

    run(settings, body())
    if not as_json:
        click.echo(", ".join(f"{count:,} {result}" for result, count in counts.items()))
    if FAILED & counts.keys():
        raise click.exceptions.Exit(1)


def _content(file: Path | None, ids: Sequence[str]) -> bytes | None:
    if file is None:
        return None
    if len(ids) != 1:
        raise UserError("--value is for one letter: give its id")
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; --value needs a readable file") from error


def _confirm(question: str, ids: Sequence[str], yes: bool) -> None:
    if ids or yes:
        return
    if not click.get_text_stream("stdin").isatty():
        raise UserError(f"{question} Say --yes where nobody can be asked")
    click.confirm(question, abort=True, err=True)
