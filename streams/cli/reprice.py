"""`spendstream reprice`: past usage at the prices of today's price book."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from streams.cli.applying import confirmed, journal_writer, signature
from streams.cli.consoles import plain_table, wide_console
from streams.cli.days import Day, check_order
from streams.cli.options import connection_options, run
from streams.cli.usd_words import exact_pico, signed_exact_pico
from streams.guard.money import usd
from streams.rating.pricebook import PriceBook
from streams.repricing.apply import NotOnlyPrices, Repricer
from streams.repricing.preview import Change, Preview, What, preview
from streams.repricing.scope import Scope, check_names
from streams.settings import PREFIX, Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect

SHOWN = 40
"""Changes that are listed; --json has all."""
NO_PRICE = "no price"
Advanced = Callable[[Scope], None]


@click.command()
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="First day, UTC.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="Last day, included.")
@click.option("--model", metavar="NAME", help="Only calls of this model.")
@click.option("--provider", metavar="NAME", help="Only calls of this provider.")
@click.option("--team", metavar="NAME", help="Only calls of this team.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Price overrides.  [default: the running stack's, or {PREFIX}PRICES]",
)
@click.option("--why", metavar="TEXT", default="", help="For the reader of the ledger.")
@click.option("--yes", is_flag=True, help="Apply without asking.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact; never asks.")
@connection_options
def reprice(
    first: date,
    last: date,
    model: str | None,
    provider: str | None,
    team: str | None,
    prices: Path | None,
    why: str,
    yes: bool,
    as_json: bool,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """Show what past calls cost at today's prices, and correct ledger and archive. Example:

        spendstream reprice --from 2026-10-01 --to 2026-10-31 --model gpt-4o --why "contract 4711"

    Shows the difference first, and asks. What was counted stays in the ledger: corrections are
    adjustments. It can be cut off and run again. Restart meter and archive with the new prices
    before: docs/repricing.md.
    """
    check_order(first, last)
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse, prices=prices)
    book = PriceBook.load(settings.prices)
    scope = Scope(first, last, model, provider, team)
    console = wide_console(stderr=as_json)
    connection = connect(settings)
    try:
        check_names(connection, scope)
        with _bar(console, "comparing", scope) as advanced:
            found = preview(connection, book, scope, advanced)
        if not found.calls and found.empty and not found.differing:
            raise UserError(f"there are no calls from {scope}; nothing can be repriced")
        if not as_json:
            _print(console, found, scope, book)
        if found.differing:
            raise NotOnlyPrices(str(scope))
        applied = None
        if not found.empty and (yes or (not as_json and confirmed(console))):
            applied = _applied(settings, connection, console, scope, book, why)
    finally:
        connection.close()
    if as_json:
        click.echo(json.dumps(as_document(found, scope, book) | {"adjustments": applied}))
    elif applied is not None:
        console.print(
            f"repriced: adjustments in the ledger: {applied:,}\n"
            "next: spendstream reconcile proves that every copy agrees"
        )


def _applied(
    settings: Settings,
    connection: ClickHouse,
    console: Console,
    scope: Scope,
    book: PriceBook,
    why: str,
) -> int:
    note = f"{signature(why)}: {book.version}"

    async def body(advanced: Advanced) -> int:
        async with journal_writer(settings, connection) as to:
            repricer = Repricer(
                connection, to.producer, book, note, settings.max_entry_bytes, to.wait
            )
            return await repricer.apply(scope, advanced)

    with _bar(console, "repricing", scope) as advanced:
        return run(settings, body(advanced))


@contextmanager
def _bar(console: Console, what: str, scope: Scope) -> Iterator[Advanced]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TextColumn("days"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=(scope.last - scope.first).days + 1)
        yield lambda part: bar.advance(task, (part.last - part.first).days + 1)


def _print(console: Console, found: Preview, scope: Scope, book: PriceBook) -> None:
    console.print(Text(f"Repricing {scope}"))
    console.print(Text(f"by {book.version}\n"))
    if found.changes:
        console.print(_table(found))
        if (more := len(found.changes) - SHOWN) > 0:
            console.print(f"… and {more:,} more (--json shows them)")
        total = found.total
        console.print(
            f"{total.calls:,} of {found.calls:,} calls change: {exact_pico(total.old_cost)} → "
            f"{exact_pico(total.new_cost)}, {signed_exact_pico(total.difference)}"
        )
        if total.newly_priced:
            console.print(f"{total.newly_priced:,} calls get a price that had none")
        if total.no_longer_priced:
            console.print(f"{total.no_longer_priced:,} calls lose their price, and so their cost")
    if found.pending:
        console.print(
            "The archive has prices that the ledger has yet to follow, by "
            f"{signed_exact_pico(found.pending.total())}: a repricing was cut off, or meter and "
            "archive were started with different prices"
        )
    if found.empty and not found.differing:
        console.print(f"nothing to change: {found.calls:,} calls cost what these prices say")


def _table(found: Preview) -> Table:
    heads = ("team", "model", "price", "calls", "cost so far", "new cost", "difference")
    largest = sorted(found.changes.items(), key=lambda item: (-abs(item[1].difference), item[0]))
    rows = (_row(what, change) for what, change in largest[:SHOWN])
    return plain_table(heads, rows, range(3, len(heads)))


def _row(what: What, change: Change) -> list[str]:
    old, new = what.old_ref or NO_PRICE, what.new_ref or NO_PRICE
    return [
        what.team,
        f"{what.provider}/{what.model}",
        new if old == new else f"{old} → {new}",
        f"{change.calls:,}",
        exact_pico(change.old_cost) if what.old_ref else NO_PRICE,
        exact_pico(change.new_cost) if what.new_ref else NO_PRICE,
        signed_exact_pico(change.difference),
    ]


def as_document(found: Preview, scope: Scope, book: PriceBook) -> dict[str, object]:
    """The preview for machines; costs are USD, exact decimal text, null where there is no price."""
    total = found.total
    return {
        "from": str(scope.first),
        "to": str(scope.last),
        "model": scope.model,
        "provider": scope.provider,
        "team": scope.team,
        "book": book.version,
        "calls": found.calls,
        "changed_calls": total.calls,
        "old_cost_usd": f"{usd(total.old_cost):f}",
        "new_cost_usd": f"{usd(total.new_cost):f}",
        "difference_usd": f"{usd(total.difference):f}",
        "newly_priced_calls": total.newly_priced,
        "no_longer_priced_calls": total.no_longer_priced,
        "changes": [
            {
                "team": what.team,
                "provider": what.provider,
                "model": what.model,
                "old_price_ref": what.old_ref or None,
                "new_price_ref": what.new_ref or None,
                "calls": change.calls,
                "old_cost_usd": f"{usd(change.old_cost):f}" if what.old_ref else None,
                "new_cost_usd": f"{usd(change.new_cost):f}" if what.new_ref else None,
                "difference_usd": f"{usd(change.difference):f}",
            }
            for what, change in sorted(found.changes.items())
        ],
        "ledger_has_yet_to_follow": [
            {"team": t, "provider": p, "model": m, "cost_usd": f"{usd(cost):f}"}
            for (t, p, m), cost in sorted(found.pending.items())
        ],
    }
