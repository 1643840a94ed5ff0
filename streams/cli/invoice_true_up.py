"""`spendstream invoice true-up`: the ledger made equal to an invoice, by adjustments."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from sinks.clickhouse import ClickHouse
from streams.cli.applying import confirmed, journal_writer, signature
from streams.cli.consoles import plain_table, wide_console
from streams.cli.export import Month
from streams.cli.invoice_report import NO_MODEL, check_zone, headline
from streams.cli.options import connection_options, run
from streams.cli.usd_words import signed_pico
from streams.invoices.report import text
from streams.invoices.trueup import Due, due, true_up
from streams.invoices.variance import Variance, compare
from streams.rating.pricebook import PriceBook
from streams.settings import PREFIX, Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect

SHOWN = 40
"""Models and teams that are listed; --json has all."""


@click.command("true-up")
@click.option("--provider", required=True, metavar="NAME", help="As events name it: openai.")
@click.option("--month", type=Month(), required=True, metavar="MONTH", help="Such as 2026-11.")
@click.option("--zone", metavar="ZONE", help="As for  invoice report.")
@click.option("--whole-month", is_flag=True, help="Also days that the invoice has not come to.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Price overrides.  [default: the running stack's, or {PREFIX}PRICES]",
)
@click.option("--why", metavar="TEXT", default="", help="For the reader of the ledger.")
@click.option("--yes", is_flag=True, help="Apply without asking.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact; never asks.")
@connection_options
def true_up_(
    provider: str,
    month: date,
    zone: str | None,
    whole_month: bool,
    prices: Path | None,
    why: str,
    yes: bool,
    as_json: bool,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """Bring the ledger to what the invoice says, by day and model. Example:

        spendstream invoice true-up --provider openai --month 2026-11

    Shows what would be added first, and asks. What was counted stays in the ledger: true-ups are
    adjustments, split among the teams by what they used of the model on the day. Doing it again
    changes nothing; a corrected invoice trues up the rest. Fees, credits and taxes are left out.
    """
    check_zone(zone)
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse, prices=prices)
    book = PriceBook.load(settings.prices)
    console = wide_console(stderr=as_json)
    connection = connect(settings)

    def compared() -> Variance:
        return compare(connection, book, provider, month, zone, whole=whole_month)

    try:
        found = compared()
        left = due(connection, found)
        if not as_json:
            _print(console, found, left)
        made: list[str] | None = None
        if left.cells and (yes or (not as_json and confirmed(console))):
            with console.status("truing up"):
                made = _made(settings, connection, (provider, month), compared, why)
    finally:
        connection.close()
    if as_json:
        click.echo(json.dumps(as_document(found, left) | {"adjustments": made}))
    elif made is not None:
        console.print(
            f"trued up: adjustments in the ledger: {len(made):,}\n"
            "next: spendstream reconcile proves that every copy agrees"
        )


def _made(
    settings: Settings,
    connection: ClickHouse,
    of: tuple[str, date],
    compared: Any,
    why: str,
) -> list[str]:
    async def body() -> list[str]:
        async with journal_writer(settings, connection) as to:
            return await true_up(
                connection, to.producer, to.journal, of, compared, signature(why), to.wait
            )

    return run(settings, body())


def _print(console: Console, found: Variance, left: Due) -> None:
    for line in headline(found):
        console.print(Text(line))
    if left.beside:
        told = ", ".join(
            f"{name} {signed_pico(amount)}" for name, amount in sorted(left.beside.items())
        )
        console.print(Text(f"left out, as they are of no model's usage: {told}"))
    if not left.cells:
        console.print("nothing to true up: the ledger has what the invoice says")
        return
    console.print(Text(f"\nto true up: {signed_pico(left.total)}\n"), style="bold")
    for what, sums in (("model", left.by_model()), ("team", left.by_team())):
        rows = [[name or NO_MODEL, signed_pico(amount)] for name, amount in sums[:SHOWN]]
        console.print(plain_table((what, "true-up"), rows, {1}))
        if (more := len(sums) - SHOWN) > 0:
            console.print(f"… and {more:,} more (--json shows them)")
        console.print()


def as_document(found: Variance, left: Due) -> dict[str, object]:
    """The preview for machines; USD as exact decimal text."""
    return {
        "provider": found.span.provider,
        "month": f"{found.month:%Y-%m}",
        "first_day": str(found.span.first),
        "last_day": str(found.span.last),
        "to_true_up_usd": text(left.total),
        "left_out_usd": {name: text(amount) for name, amount in sorted(left.beside.items())},
        "models": {name: text(amount) for name, amount in left.by_model()},
        "teams": {name: text(amount) for name, amount in left.by_team()},
        "amounts": [
            {"day": str(amount.day), "usd": f"{amount.usd.normalize():f}", **amount.attribution}
            for _, amounts in left.amounts
            for amount in amounts
        ],
    }
