"""`spendstream report vendors`: the same usage at other vendors, models and regions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import click

from reports.vendors.compare import Target, TokenRange
from reports.vendors.usage import Days, models_in_use
from schemas.errors import UserError
from streams.cli.consoles import wide_console
from streams.cli.days import Day, check_order
from streams.cli.options import FOLDER
from streams.cli.prices_words import PRICES
from streams.cli.vendors_view import as_document, print_report
from streams.file_model import known_or_nearest
from streams.rating.pricebook import PriceBook
from streams.repricing.scope import Scope, check_names
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader
from streams.vendors.equivalents import Equivalent, known_target, read_equivalents
from streams.vendors.report import Model, choices_of, vendor_report
from streams.vendors.token_range import DEFAULT, range_text, token_range


@click.command()
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="First day, UTC.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="Last day, included.")
@click.option("--team", metavar="NAME", help="Only the calls of this team.")
@click.option("--model", metavar="NAME", help="Only this model in use: provider/model.")
@click.option(
    "--to-model", multiple=True, metavar="NAME", help="Compare with provider/model; repeatable."
)
@click.option("--to-region", metavar="NAME", help="Compare with this region.")
@click.option(
    "--equivalents",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that says what would do in place of what, such as examples/equivalents.yaml.",
)
@click.option(
    "--tokens",
    metavar="RANGE",
    help="Tokens of the other model for each token of this one."
    f"  [default: {range_text(DEFAULT)}, and 1 for the same model]",
)
@PRICES
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def vendors(
    first: date,
    last: date,
    team: str | None,
    model: str | None,
    to_model: tuple[str, ...],
    to_region: str | None,
    file: Path | None,
    tokens: str | None,
    overrides: Path | None,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Price past usage as if other models, vendors or regions had served it. Example:

        spendstream report vendors --from 2026-11-01 --to 2026-11-30 --to-model openai/gpt-5

    Cost alone, as a range: what it rests on is below the table, and in docs/vendors.md.
    """
    check_order(first, last)
    settings = settings_for(folder, clickhouse=clickhouse, prices=overrides)
    book = PriceBook.load(settings.prices)
    span = _token_range(tokens)
    targets = _targets(book, to_model, to_region)
    equivalents: Iterable[Equivalent] = read_equivalents(file, book) if file else ()
    if not targets and not file:
        raise UserError(
            "there is nothing to compare with; say --to-model provider/model, --to-region NAME, or "
            "--equivalents FILE, such as examples/equivalents.yaml"
        )
    days = Days(first, last, team)
    connection = clickhouse_reader(settings)
    try:
        if team is not None:
            check_names(connection, Scope(first, last, team=team))
        in_use = _models(models_in_use(connection, days), model, days)
        choices = choices_of(book, in_use, targets, equivalents, span)
        found = vendor_report(connection, book, days, choices)
    finally:
        connection.close()
    if as_json:
        click.echo(json.dumps(as_document(found)))
        return
    print_report(wide_console(), found, all_models=model is None)


def _token_range(text: str | None) -> TokenRange | None:
    try:
        return None if text is None else token_range(text)
    except ValueError as error:
        raise UserError(f"--tokens: {error}") from None


def _targets(book: PriceBook, models: Iterable[str], region: str | None) -> list[Target]:
    found = []
    for text in models:
        try:
            found.append(known_target(book, text, region))
        except UserError as error:
            raise UserError(f"--to-model: {error}") from None
    if not found and region is not None:
        return [Target("", "", region)]  # every model where it is, in that region
    return found


def _models(in_use: list[Model], wanted: str | None, days: Days) -> list[Model]:
    if not in_use:
        whose = f" of team {days.team!r}" if days.team else ""
        raise UserError(f"there are no priced calls{whose} from {days.first} to {days.last} (UTC)")
    if wanted is None:
        return in_use
    names = {f"{provider}/{model}": (provider, model) for provider, model in in_use}
    if wanted not in names:
        raise UserError(
            f"--model: no priced call of these days has {wanted!r}; "
            f"{known_or_nearest(wanted, names)}"
        )
    return [names[wanted]]
