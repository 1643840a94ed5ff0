"""`spendstream agreements`: volume steps and committed use, by month."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import click

from schemas.errors import UserError
from streams.agreements.book import read_agreements
from streams.agreements.checks import warnings
from streams.agreements.statement import read_statements
from streams.cli.agreements_apply import apply
from streams.cli.agreements_months import months_since, print_months
from streams.cli.agreements_view import as_document, print_statements, terms_words
from streams.cli.consoles import wide_console
from streams.cli.months import Month
from streams.cli.options import FOLDER
from streams.cli.prices_words import PRICES
from streams.rating.pricebook import PriceBook
from streams.settings import load_settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader


@click.group()
def agreements() -> None:
    """Volume steps and committed use: what a month comes to under them. Example:

    spendstream agreements report --file examples/agreements.yaml --month 2026-11
    """


@agreements.command()
@click.argument("file", type=click.Path(path_type=Path))
@PRICES
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(file: Path, overrides: Path | None, as_json: bool) -> None:
    """Say what the agreements of FILE come to in words, and what is probably a mistake. Example:

        spendstream agreements check examples/agreements.yaml

    Exits with 2 where the file is not valid.
    """
    book = read_agreements(file)
    prices = PriceBook.load(overrides or load_settings().prices)
    found = list(warnings(book, prices, datetime.now(UTC).date()))
    if as_json:
        said = {one.name: terms_words(one) for one in book.agreements}
        click.echo(json.dumps({"agreements": said, "warnings": found}))
        return
    for one in book.agreements:
        click.echo(f"{one.name}: {terms_words(one)}")
    for warning in found:
        click.echo(f"warning: {warning}")
    click.echo(f"{file}: {len(book.agreements)} agreements, {len(book.signed)} of them signed")


@agreements.command()
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    required=True,
    help="Agreements file, such as examples/agreements.yaml.",
)
@click.option("--month", type=Month(), required=True, metavar="MONTH", help="UTC, such as 2026-11.")
@click.option("--since", type=Month(), metavar="MONTH", help="Also a line for each month from it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def report(
    file: Path,
    month: date,
    since: date | None,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Show what a month comes to under each agreement, and what proposed ones would do. Example:

        spendstream agreements report --file examples/agreements.yaml --month 2026-11

    What each figure means: docs/agreements.md.
    """
    book = read_agreements(file)
    today = datetime.now(UTC).date()
    if month > today:
        raise UserError(f"--month: {month:%Y-%m} has not begun; the newest is {today:%Y-%m}")
    months = months_since(since or month, month)
    connection = clickhouse_reader(settings_for(folder, clickhouse=clickhouse))
    try:
        found = [read_statements(connection, book, one) for one in months]
    finally:
        connection.close()
    if as_json:
        document = as_document(found[-1])
        if since is not None:
            document["months"] = [as_document(one) for one in found]
        click.echo(json.dumps(document))
        return
    console = wide_console()
    print_statements(console, found[-1], today)
    if since is not None:
        print_months(console, found)


agreements.add_command(apply)
