"""`spendstream prices show`: what a model costs, since when, and who says so."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.cli.consoles import wide_console
from streams.cli.prices_words import PRICES, decision_words
from streams.rating.pricebook import PriceBook
from streams.rating.show import ShownPrice, describe
from streams.settings import load_settings


@click.command()
@click.argument("model")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Time that the price is asked for, UTC.  [default: now]",
)
@click.option("--provider", help="Whose price, where several sell the model.")
@PRICES
@click.option("--json", "as_json", is_flag=True, help="One JSON object per price.")
def show(
    model: str, at: datetime | None, provider: str | None, overrides: Path | None, as_json: bool
) -> None:
    """Show the rates of a model, their source and when they were checked. Example:

    spendstream prices show openai/gpt-4o --at 2024-12-01
    """
    book = PriceBook.load(overrides or load_settings().prices)
    when = datetime.now(UTC) if at is None else at.replace(tzinfo=UTC)
    found = describe(book, model, when, provider)
    if as_json:
        for price in found:
            click.echo(json.dumps(asdict(price), default=str))
        return
    console = wide_console()
    for price in found:
        _print(console, price, when)


def _print(console: Console, price: ShownPrice, when: datetime) -> None:
    scope = f"{price.service_tier}{f', {price.region}' if price.region else ''}"
    console.print(f"[bold]{price.provider}/{price.model}[/] ({scope}) at {when:%Y-%m-%d %H:%M} UTC")
    table = Table(show_edge=False, header_style="bold")
    table.add_column("USD per million tokens")
    names = [
        name
        for name in price.levels[0].usd_per_million_tokens
        if any(level.usd_per_million_tokens[name] is not None for level in price.levels)
    ]
    for level in price.levels:
        above = level.above_input_tokens
        head = "rate" if above is None else f"above {above:,} input tokens"
        table.add_column(head, justify="right")
    for name in names:
        row = (level.usd_per_million_tokens[name] for level in price.levels)
        table.add_row(name, *(value or "–" for value in row))
    if any(level.usd_per_call for level in price.levels):
        table.add_row("per call, USD", *(level.usd_per_call or "–" for level in price.levels))
    console.print(table)
    facts = {
        "valid": _validity(price),
        "source": price.source,
        "checked": str(price.checked) if price.checked else "the source does not say",
        "see": ", ".join(price.pricing_urls),
        "note": price.comments or "",
        "reference": price.price_ref,
    }
    for name, fact in facts.items():
        if fact:
            console.print(Text(f"  {name:<10} {fact}"), soft_wrap=True)
    for decision in price.decisions:
        if words := decision_words(decision):
            console.print(Text(f"  {'decided':<10} {words}"), soft_wrap=True)
    console.print()


def _validity(price: ShownPrice) -> str:
    start = f"from {price.valid_from:%Y-%m-%d}" if price.valid_from else "as far back as is known"
    end = f" until {price.valid_until:%Y-%m-%d}" if price.valid_until else ""
    return f"{start}{end}{f', {price.hours}' if price.hours else ''}"
