"""`spendstream prices history`: every price that a model has had."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from schemas.errors import UserError
from streams.cli.consoles import wide_console
from streams.cli.prices_words import (
    PRICES,
    bucket_words,
    day,
    decision_words,
    scope,
)
from streams.rating.history import PastPrice
from streams.rating.history import history as history_of
from streams.rating.pricebook import PriceBook
from streams.rating.show import sellers
from streams.rating.timeline import percent_text
from streams.settings import load_settings


@click.command()
@click.argument("model")
@click.option("--provider", help="Whose price, where several sell the model.")
@click.option(
    "--tier",
    type=click.Choice(["standard", "batch", "flex", "priority"]),
    help="Only this service tier.  [default: those with a price of their own]",
)
@click.option("--region", help="Only this region.  [default: those that the file names]")
@PRICES
@click.option("--json", "as_json", is_flag=True, help="One JSON object per period.")
def history(
    model: str,
    provider: str | None,
    tier: str | None,
    region: str | None,
    overrides: Path | None,
    as_json: bool,
) -> None:
    """Show every period of a model's price, in order, and what changed. Example:

    spendstream prices history openai/gpt-4o --tier batch
    """
    book = PriceBook.load(overrides or load_settings().prices)
    found = [
        period
        for pair in sellers(book, model, provider)
        for period in history_of(book, *pair, tier, region)
    ]
    if not found:
        raise UserError(f"{model} has never had a price per token or call")
    if as_json:
        for period in found:
            click.echo(json.dumps(asdict(period), default=str))
        return
    console = wide_console()
    for (name, one_tier, where), periods in groupby(
        found, key=lambda p: (f"{p.provider}/{p.model}", p.service_tier, p.region)
    ):
        console.print(Text(scope(name, one_tier, where), style="bold"))
        console.print(_table(list(periods)))
        console.print()
    console.print("USD per million tokens. Dates are UTC; a price holds until the next one.")


def _table(periods: list[PastPrice]) -> Table:
    table = Table(show_edge=False, header_style="bold")
    for head in ("from", "price", "says who"):
        table.add_column(head, overflow="fold")
    for period in periods:
        rates = [
            f"{_name(rate.bucket, rate.above_input_tokens)} {rate.usd}"
            + (f" ({percent_text(rate.percent)})" if rate.percent else "")
            for rate in period.rates
            if not rate.derived
        ]
        start = day(period.valid_from) if period.valid_from else "the beginning"
        when = "\n".join(filter(None, (start, period.hours)))
        said = [words for one in period.decisions if (words := decision_words(one))]
        source = "\n".join([period.price_ref or "no price", *said])
        table.add_row(when, Text("\n".join(rates) or "–"), Text(source))
    return table


def _name(bucket: str, above: int | None) -> str:
    return bucket_words("per call, USD" if bucket == "per_call" else bucket, above)
