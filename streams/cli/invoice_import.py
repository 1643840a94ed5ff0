"""`spendstream invoice import`: what a provider charges, line by line, beside the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from schemas.errors import UserError
from sinks.invoices import Invoices
from streams.budgets.budget_file import read_budgets
from streams.budgets.exchange import Rates
from streams.cli.options import FOLDER
from streams.invoices.convert import Converter
from streams.invoices.known_formats import FORMATS
from streams.invoices.ledger import check_provider, models_of
from streams.invoices.line import Identities
from streams.invoices.rates import GivenRates, parse_rates
from streams.invoices.run import Import
from streams.invoices.sheet import Sheet
from streams.invoices.words import Models
from streams.settings import Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--provider", required=True, metavar="NAME", help="As events name it: openai.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="What wrote the export.  [default: what its header says]",
)
@click.option(
    "--rate",
    "rates",
    multiple=True,
    metavar="EUR=0.92",
    help="How much of a currency one USD is. Repeatable.  [default: exchange_rates of the budgets]",
)
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="WORDS=MODEL",
    help="Lines with these words are of this model of the ledger. Repeatable.",
)
@click.option(
    "--only", metavar="WORDS", default="", help="Only lines with these words in some column."
)
@click.option("--replace", is_flag=True, help="Take out what only an earlier export had.")
@click.option("--dry-run", is_flag=True, help="Only read, and say what would be kept.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def import_(
    file: Path,
    provider: str,
    form: str | None,
    rates: tuple[str, ...],
    pairs: tuple[str, ...],
    only: str,
    replace: bool,
    dry_run: bool,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Import a provider's cost export (CSV, also packed with gzip). Importing it again, or a
    corrected one, replaces its lines.

    Exit code 1 where lines could not be read; the others are kept. Example:

        spendstream invoice import costs.csv --provider openai
    """
    formats = [FORMATS[form]] if form else list(FORMATS.values())
    sheet = Sheet(file, formats)
    given = parse_rates(rates)
    mapped = parse_map(pairs)
    settings = settings_for(folder, clickhouse=clickhouse)
    connection = connect(settings)
    console = Console(highlight=False, stderr=as_json, soft_wrap=True)
    try:
        check_provider(connection, provider)
        ours = models_of(connection, provider)
        check_mapped([*mapped.values()], ours, provider)
        models = Models(ours, mapped)
        converter = Converter(
            sheet.format,
            Identities(provider, sheet.format.name),
            models,
            GivenRates(given, _book(settings)),
            only.strip(),
        )
        invoices = None if dry_run else Invoices(connection, provider)
        job = Import(provider, file.name, converter, ours, invoices, replace=replace)
        with _bar(console, sheet) as advanced:
            tally = job.run(sheet, advanced)
    finally:
        connection.close()
    unused = sorted(words for words in mapped if words.lower() not in models.used)
    if as_json:
        click.echo(
            json.dumps(
                {"provider": provider, "format": sheet.format.name, "dry_run": dry_run}
                | tally.as_document()
                | {"unused_map": unused}
            )
        )
    else:
        for line in tally.words(f"{file} ({sheet.format.title}, {provider})"):
            console.print(line, markup=False)
        for words in unused:
            console.print(f"  --map {words}=…: no line has these words", markup=False)
        if dry_run:
            console.print("  nothing was kept: --dry-run")
        elif tally.first is not None:
            console.print(
                f"next: spendstream invoice report --provider {provider} --month "
                f"{tally.first:%Y-%m}"
            )
    if tally.unread:
        raise click.exceptions.Exit(1)


def parse_map(pairs: Sequence[str]) -> dict[str, str]:
    """`WORDS=MODEL` as words and model. Raises UserError."""
    found = {}
    for pair in pairs:
        words, _, model = pair.rpartition("=")
        if not words.strip() or not model.strip():
            raise UserError(
                f"--map {pair}: write words of the invoice and a model of the ledger, such as "
                "'gpt 4o 0806=gpt-4o'"
            )
        found[words.strip()] = model.strip()
    return found


def check_mapped(models: Sequence[str], ours: Sequence[str], provider: str) -> None:
    """Raise UserError for a model that the provider has no call of."""
    for model in models:
        if ours and model not in ours:
            some = ", ".join(sorted(ours)[:8])
            raise UserError(
                f"--map …={model}: no call of {provider} has the model {model!r}; there are {some}"
            )


def _book(settings: Settings) -> Rates | None:
    if settings.budgets is None:
        return None
    return read_budgets(settings.budgets).rates


@contextmanager
def _bar(console: Console, sheet: Sheet) -> Iterator[Callable[[], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("importing", total=sheet.size)
        yield lambda: bar.update(task, completed=sheet.position)
