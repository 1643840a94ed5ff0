"""`spendstream report savings`: what duplicates, prefixes, routing and retries would have saved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.savings import Range, Saving, Savings, Span, Terms, savings
from reports.savings.document import as_document
from reports.savings.model import Model
from schemas.errors import UserError
from sinks.amounts import percent
from streams.cli.consoles import plain_table, wide_console
from streams.cli.days import Day, check_order
from streams.cli.options import FOLDER
from streams.cli.recorded_rates import record_rates
from streams.cli.usd_words import NOTHING, usd_text
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader

TOTAL_METHOD = (
    "Of the total: on top of the savings above it, as a request that disappears cannot be cached "
    "or routed too. Low and high are the cautious and the hopeful case, each added up for itself. "
    "What is not estimated (–) adds nothing."
)


class Exchange(click.ParamType):
    """`PROVIDER/MODEL=PROVIDER/MODEL`."""

    name = "exchange"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[Model, Model]:
        """The model, and the one that it is exchanged for."""
        sides = [side.partition("/") for side in str(value).split("=")]
        if len(sides) != 2 or not all(provider and model for provider, _, model in sides):
            raise UserError(
                f"--cheaper: {value!r} is no exchange; write it as PROVIDER/MODEL=PROVIDER/MODEL, "
                "such as openai/gpt-4o=openai/gpt-4o-mini"
            )
        (here, _, model), (there, _, other) = sides
        return (here, model), (there, other)


class Loss(click.ParamType):
    """A decimal from 0 upwards."""

    name = "decimal"

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal:
        """Exact."""
        try:
            loss = Decimal(str(value))
        except InvalidOperation:
            loss = Decimal("NaN")
        if not loss.is_finite() or loss < 0:
            raise UserError(f"--tolerate: {value!r} is no quality; write a number such as 0.05")
        return loss


@click.command("savings")
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="First day, UTC.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="Last day, included.")
@click.option("--team", metavar="NAME", help="Only the calls of this team.")
@click.option(
    "--answer-hours",
    type=click.IntRange(1, 24 * 365),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="How long an answer is good for the same prompt.",
)
@click.option(
    "--prefix-minutes",
    type=click.IntRange(1, 24 * 60),
    default=5,
    show_default=True,
    metavar="MINUTES",
    help="How long the provider's cache keeps a prefix after its last use.",
)
@click.option(
    "--tolerate",
    type=Loss(),
    default="0.05",
    show_default=True,
    metavar="LOSS",
    help="Loss of mean quality up to which a cheaper answer will do.",
)
@click.option(
    "--cheaper",
    type=Exchange(),
    multiple=True,
    metavar="MODEL=MODEL",
    help="Without shadows, price calls of one model at another: openai/gpt-4o=openai/gpt-4o-mini.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def savings_command(
    first: date,
    last: date,
    team: str | None,
    answer_hours: int,
    prefix_minutes: int,
    tolerate: Decimal,
    cheaper: Sequence[tuple[Model, Model]],
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """What these days would have cost less, each kind alone and all together. Example:

        spendstream report savings --from 2026-11-01 --to 2026-11-30 --team search

    Ranges, not promises: what each rests on is in the report and in docs/savings.md.
    """
    check_order(first, last)
    settings = settings_for(folder, clickhouse=clickhouse)
    terms = Terms(
        answer_window=timedelta(hours=answer_hours),
        prefix_lifetime=timedelta(minutes=prefix_minutes),
        tolerated_loss=tolerate,
        cheaper=dict(cheaper),
    )
    record_rates(settings, first, last, cheaper)
    connection = clickhouse_reader(settings)
    try:
        found = savings(connection, Span(first, last, team), terms)
    finally:
        connection.close()
    if not found.calls:
        whose = f" of team {team!r}" if team else ""
        raise UserError(f"there are no calls{whose} from {first} to {last} (UTC)")
    if as_json:
        click.echo(json.dumps(as_document(found)))
        return
    console = wide_console()
    _print(console, found)


def _print(console: Console, found: Savings) -> None:
    span = found.span
    whose = f", team {span.team}" if span.team else ""
    of = f": {found.calls:,} calls of {usd_text(found.cost)}"
    console.print(Text(f"Savings from {span.first} to {span.last} (UTC){whose}{of}\n"))
    console.print(_table(found))
    console.print(TOTAL_METHOD + "\n", style="dim")
    for one in found.kinds:
        _print_kind(console, one)


def _table(found: Savings) -> Table:
    table = plain_table(("saving", "looked at", "alone", "of the total"), numbers={2, 3})
    for one in found.kinds:
        looked = f"{one.calls:,} {one.looked_at}, {usd_text(one.cost)}"
        table.add_row(one.title, looked, _range(one.alone), _range(one.added))
    total = _range(found.total)
    if found.total is not None and found.cost:
        low, high = (percent(one, found.cost) for one in (found.total.low, found.total.high))
        if low and high:
            total += f" ({low})" if low == high else f" ({low} to {high})"
    table.add_row("All together", "", "", total, style="bold")
    return table


def _print_kind(console: Console, one: Saving) -> None:
    console.print(one.title, style="bold")
    facts = [
        f"{fact.name}: "
        f"{usd_text(fact.value) if isinstance(fact.value, Decimal) else f'{fact.value:,}'}"
        for fact in one.evidence
    ]
    console.print(Padding(Text("; ".join(facts)), (0, 0, 0, 2), expand=False))
    for part in one.parts:
        text = f"{part.name}: {_range(part.alone)} of {usd_text(part.cost)}, {part.calls:,} calls"
        console.print(Padding(Text(f"{text}; {part.note}"), (0, 0, 0, 2), expand=False))
    for sentence in one.not_estimated:
        console.print(Padding(Text(f"Not estimated: {sentence}."), (0, 0, 0, 2), expand=False))
    for sentence in one.assumptions:
        console.print(Padding(Text(sentence, style="dim"), (0, 0, 0, 2), expand=False))
    console.print()


def _range(found: Range | None) -> str:
    """One amount where both read the same."""
    if found is None:
        return NOTHING
    low, high = usd_text(found.low), usd_text(found.high)
    return low if low == high else f"{low} to {high}"
