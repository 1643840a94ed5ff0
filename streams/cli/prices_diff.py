"""`spendstream prices diff`: what changes between two price files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.errors import UserError
from streams.cli.consoles import wide_console
from streams.cli.prices_words import bucket_words, day, scope
from streams.rating.diff import Difference, Model, differences, touched
from streams.rating.pricebook import PriceBook
from streams.rating.timeline import percent_text
from streams.settings import load_settings

LIST = ("list", "-")


@click.command()
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--model", help="Only this model: `gpt-4o`, or `openai/gpt-4o`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per rate that changes.")
def diff(old: str | None, new: str | None, model: str | None, as_json: bool) -> None:
    """Show what changes from one price file to another.

    OLD and NEW are files, or `list` (or `-`) for the list prices alone. Without OLD: the list;
    without NEW: the file of SPENDSTREAM_PRICES. Example:

        spendstream prices diff list prices.yaml --model gpt-4o
    """
    configured = load_settings().prices
    if new is None and configured is None:
        file = "prices.yaml" if old is None or old in LIST else old
        raise UserError(
            "NEW is missing, and SPENDSTREAM_PRICES is not set; write for example "
            f"`spendstream prices diff list {file}`"
        )
    before = _book(old or "list")
    after = PriceBook.load(configured) if new is None else _book(new)
    found = differences(before, after, _models(before, after, model))
    if as_json:
        print_json(found)
        return
    console = wide_console()
    print_differences(console, found)
    if not found:
        console.print("The prices are the same.")


def print_json(found: Sequence[Difference]) -> None:
    """One JSON object per rate; amounts and percentages as exact decimal text."""
    for row in found:
        click.echo(json.dumps(asdict(row), default=str))


def print_differences(console: Console, found: Sequence[Difference]) -> None:
    """A table per model, service tier and region; buckets that only follow others are left out."""
    for (name, tier, region), rows in groupby(
        found, key=lambda d: (f"{d.provider}/{d.model}", d.service_tier, d.region)
    ):
        table = Table(show_edge=False, header_style="bold")
        for head in ("from", "until", "USD per million", "old", "new", "change"):
            right = head in {"old", "new", "change"}
            table.add_column(head, justify="right" if right else "left", overflow="fold")
        for row in rows:
            if row.derived:
                continue
            bucket = "per call, USD" if row.bucket == "per_call" else row.bucket
            table.add_row(
                day(row.valid_from) + (f"\n{row.hours}" if row.hours else ""),
                day(row.valid_until),
                bucket_words(bucket, row.above_input_tokens),
                row.old or "–",
                row.new or "–",
                percent_text(row.percent),
            )
        console.print(Text(scope(name, tier, region), style="bold"))
        console.print(table)
        console.print()


def _book(name: str) -> PriceBook:
    return PriceBook.load(None if name in LIST else Path(name))


def _models(old: PriceBook, new: PriceBook, model: str | None) -> set[Model]:
    models = touched(old) | touched(new)
    if model is None:
        return models
    text = model.lower()
    chosen = {pair for pair in models if text in (pair[1], "/".join(pair))}
    if not chosen:
        # Not one by that name: perhaps one that the list knows under another, or that no file has.
        provider, slash, rest = text.partition("/")
        if slash and old.list_prices.models_of(provider):
            return {(provider, rest)}
        found = old.list_prices.find(None, text)
        if found is None:
            raise UserError(
                f"--model {model}: neither file names it, and the list has no such model"
            )
        return {(found[0], text)}
    return chosen
