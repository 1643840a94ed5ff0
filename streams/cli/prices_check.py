"""`spendstream prices check`: a price file, the models in use, and what the list says by now."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click
from genai_prices.update_prices import DEFAULT_UPDATE_URL
from rich.console import Console
from rich.text import Text

from sinks.amounts import amount_text
from sinks.clickhouse import ClickHouseUnavailable
from streams.cli.consoles import wide_console
from streams.cli.options import FOLDER
from streams.cli.prices_diff import print_differences
from streams.cli.prices_words import PRICES, scope
from streams.rating.check import long_unchecked, warnings
from streams.rating.diff import Difference, Model, differences, touched
from streams.rating.in_use import Ledger, Repriced, Unpriced
from streams.rating.pricebook import PriceBook
from streams.rating.upstream import upstream_book
from streams.settings import Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader


@dataclass
class _Findings:
    book: str
    warnings: list[str]
    models_in_use: int | None = None
    ledger: str | None = None
    unpriced: list[Unpriced] = field(default_factory=list)
    repriced: list[Repriced] = field(default_factory=list)
    upstream: list[Difference] | None = None

    @property
    def without_price(self) -> list[Unpriced]:
        return [one for one in self.unpriced if not one.priced_now]


@click.command()
@PRICES
@click.option(
    "--usage/--no-usage", default=True, help="Ask the ledger for the models in use.  [default: yes]"
)
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    default=30,
    show_default=True,
    help="Usage of so many days, by the newest minute of the ledger.",
)
@click.option(
    "--stale-days",
    type=click.IntRange(1),
    default=180,
    show_default=True,
    help="Warn of list prices that their source last checked longer ago.",
)
@click.option("--upstream", is_flag=True, help="Fetch the newest list, and show what it changes.")
@click.option(
    "--upstream-url",
    metavar="URL",
    default=DEFAULT_UPDATE_URL,
    help="Where the newest list is, such as a mirror.  [default: genai-prices' own]",
)
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def check(
    overrides: Path | None,
    usage: bool,
    days: int,
    stale_days: int,
    upstream: bool,
    upstream_url: str,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Check the price file, and whether every model in use has a price. Example:

        spendstream prices check --prices prices.yaml --no-usage

    Exit code 1: a model in use has no price.
    """
    settings = settings_for(folder, clickhouse=clickhouse)
    book = PriceBook.load(overrides or settings.prices)
    now = datetime.now(UTC)
    found = _Findings(book.version, warnings(book, now))
    models: set[Model] = touched(book)
    if usage:
        models |= _ask(found, settings, book, days, given=clickhouse is not None)
    found.warnings += long_unchecked(book, models, now, stale_days)
    if upstream:
        found.upstream = differences(book, upstream_book(book, upstream_url), models)
    if as_json:
        click.echo(json.dumps(asdict(found), default=str))
    else:
        _print(wide_console(), found, days)
    if found.without_price:
        sys.exit(1)


def _ask(
    found: _Findings, settings: Settings, book: PriceBook, days: int, *, given: bool
) -> set[Model]:
    """Fill in what the ledger knows. One that is away is said, unless its address was given."""
    connection = clickhouse_reader(settings)
    try:
        ledger = Ledger(connection, book, days)
        used = ledger.models()
        found.unpriced, found.repriced = ledger.unpriced(), ledger.repriced()
    except ClickHouseUnavailable as error:
        if given:
            raise
        found.ledger = f"not asked for the models in use: {error}"
        return set()
    finally:
        connection.close()
    found.models_in_use = len(used)
    return set(used)


def _print(console: Console, found: _Findings, days: int) -> None:
    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    say(f"Price book: {found.book}")
    for warning in found.warnings:
        say(f"! {warning}", "yellow")
    if not found.warnings:
        say("No warnings about the file.")
    if found.ledger is not None:
        say(f"! {found.ledger} (--no-usage leaves it out)", "yellow")
    elif found.models_in_use is not None:
        say(f"Models in use in the last {days} days of the ledger: {found.models_in_use}")
        _print_usage(console, found)
    if found.upstream is not None:
        if found.upstream:
            say("\nThe newest list would change these prices (nothing was applied):\n", "bold")
            print_differences(console, found.upstream)
        else:
            say("The newest list changes none of these prices.")


def _print_usage(console: Console, found: _Findings) -> None:
    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    for one in found.without_price:
        name = scope(f"{one.provider}/{one.model}", one.service_tier or "standard", one.region)
        lacks = f" for {', '.join(one.missing)}" if one.missing else ""
        say(
            f"\n✗ {name} has no price{lacks}: {one.calls:,} calls, {one.tokens:,} tokens, "
            f"last on {one.newest}",
            "bold red",
        )
        if one.near:
            say(f"  The book has {one.near}. Is it the same? To give it a price, under `prices:`")
        else:
            say("  To give it a price, under `prices:`")
        say(one.yaml or "")
    if later := [one for one in found.unpriced if one.priced_now]:
        say("\nRated without a price, and the book has one by now (see `spendstream reprice`):")
        for one in later:
            name = scope(f"{one.provider}/{one.model}", one.service_tier or "standard", one.region)
            say(f"  {name}: {one.calls:,} calls, {one.tokens:,} tokens, last on {one.newest}")
    if found.repriced:
        say("\nRated at another price than the book has by now (see `spendstream reprice`):")
        for other in found.repriced:
            name = scope(
                f"{other.provider}/{other.model}", other.service_tier or "standard", other.region
            )
            say(f"  {name}: {other.calls:,} calls of {amount_text(other.cost, 'USD')}")
            say(f"    then  {other.price_ref}")
            for ref in other.now:
                say(f"    now   {ref}")
    if not found.unpriced and not found.repriced and found.models_in_use:
        say("All of them have a price, the same that they were rated at.")
