"""`spendstream invoice report`: our figure against theirs, and why they differ."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.errors import UserError
from streams.cli.consoles import plain_table, wide_console
from streams.cli.export import Month
from streams.cli.options import FOLDER
from streams.cli.usd_words import pico_text, signed_pico
from streams.guard.money import usd
from streams.invoices.attribution import Parts
from streams.invoices.report import MEANING, as_document
from streams.invoices.variance import Row, Variance, compare
from streams.rating.pricebook import PriceBook
from streams.settings import PREFIX
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader

SHOWN = 30
"""Rows of days that are listed; --json has all."""
NO_MODEL = "–"


@click.command()
@click.option("--provider", required=True, metavar="NAME", help="As events name it: openai.")
@click.option("--month", type=Month(), required=True, metavar="MONTH", help="Such as 2026-11.")
@click.option(
    "--zone",
    metavar="ZONE",
    help="Whose days the invoice's are.  [default: what the provider documents, or UTC if nearer]",
)
@click.option(
    "--whole-month", is_flag=True, help="Compare days too that the invoice has not come to."
)
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Price overrides.  [default: the running stack's, or {PREFIX}PRICES]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def report(
    provider: str,
    month: date,
    zone: str | None,
    whole_month: bool,
    prices: Path | None,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Compare an imported invoice with the ledger, by day and model, and say why they differ.
    Example:

        spendstream invoice report --provider openai --month 2026-11

    The causes add up to the difference exactly. What each one means: docs/invoices.md.
    """
    check_zone(zone)
    settings = settings_for(folder, clickhouse=clickhouse, prices=prices)
    book = PriceBook.load(settings.prices)
    connection = clickhouse_reader(settings)
    try:
        found = compare(connection, book, provider, month, zone, whole=whole_month)
    finally:
        connection.close()
    if as_json:
        click.echo(json.dumps(as_document(found)))
        return
    console = wide_console()
    _print(console, found)


def check_zone(zone: str | None) -> None:
    """Raise UserError for what is no IANA time zone."""
    if zone is None:
        return
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(f"--zone: {zone!r} is no time zone; write one as Europe/Berlin") from error


def headline(found: Variance) -> list[str]:
    """What was compared, in words."""
    span = found.span
    zone = "" if found.zone == "UTC" else f", its days are those of {found.zone}"
    lines = [
        f"Invoice of {span.provider}, {span.first} to {span.last}: {found.lines:,} lines{zone}"
    ]
    if found.monthly:
        lines.append("It has usage over several days in one line: months are compared, not days.")
    if found.outside:
        lines.append(
            f"The ledger has {pico_text(found.outside)} on other days of the month, which the "
            "invoice has not come to: not compared (--whole-month does)."
        )
    return lines


def _print(console: Console, found: Variance) -> None:
    rows = found.rows
    for line in headline(found):
        console.print(Text(line))
    invoiced, metered = sum(r.invoiced for r in rows), sum(r.metered for r in rows)
    trued_up, variance = sum(r.trued_up for r in rows), sum(r.variance for r in rows)
    beside = f", {signed_pico(trued_up)} trued up" if trued_up else ""
    console.print(
        Text(
            f"invoiced {pico_text(invoiced)}, metered {pico_text(metered)}{beside}: "
            f"{signed_pico(variance)} on the invoice"
            f"{_share(variance, invoiced)}\n"
        ),
        style="bold",
    )
    if found.parts:
        console.print("Why", style="bold")
        console.print(
            plain_table(
                ("cause", "USD", "which means"),
                [
                    [name_of(cause), signed_pico(usd_), MEANING[cause]]
                    for cause, usd_ in found.parts.items()
                ],
                {1},
            )
        )
        console.print()
    console.print("By model", style="bold")
    console.print(_rows(found.by_model(), with_day=False))
    if not found.monthly:
        largest = sorted(
            (row for row in rows if row.parts), key=lambda row: (-abs(row.variance), row.cell)
        )
        if largest:
            console.print("\nBy day", style="bold")
            console.print(_rows(sorted(largest[:SHOWN], key=lambda row: row.cell), with_day=True))
        if (more := len(largest) - SHOWN) > 0:
            console.print(f"… and {more:,} more that differ less (--json shows them)")
    if any(row.variance != sum(row.beside.values()) for row in rows):
        console.print(
            Text(
                f"\nnext: spendstream invoice true-up --provider {found.span.provider} --month "
                f"{found.month:%Y-%m} shows what would bring the ledger to the invoice"
            )
        )


def name_of(cause: str) -> str:
    """A cause for a reader."""
    return cause.replace("_", " ")


def _share(variance: int, invoiced: int) -> str:
    return f" ({100 * usd(variance) / usd(invoiced):+.2f} %)" if invoiced else ""


def _rows(rows: Iterable[Row], *, with_day: bool) -> Table:
    heads = ["model", "invoiced", "ledger", "variance", "their tokens", "our tokens", "why"]
    cells = [
        [
            *([str(row.cell.day)] if with_day else []),
            row.cell.model or NO_MODEL,
            pico_text(row.invoiced),
            pico_text(row.ledger),
            signed_pico(row.variance),
            NO_MODEL if row.invoiced_tokens is None else f"{row.invoiced_tokens:,}",
            f"{row.metered_tokens:,}",
            _why(row.parts),
        ]
        for row in rows
    ]
    first = 2 if with_day else 1
    return plain_table((["day"] if with_day else []) + heads, cells, set(range(first, first + 5)))


def _why(parts: Parts) -> str:
    largest = sorted(parts.items(), key=lambda part: -abs(part[1]))
    told = [f"{name_of(cause)} {signed_pico(amount)}" for cause, amount in largest[:3]]
    more = len(largest) - len(told)
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")
