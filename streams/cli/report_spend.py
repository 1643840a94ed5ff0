"""`spendstream report spend`: the overview in a terminal, by the figures of the page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from reports.charts import terminal
from reports.figures.currency import currencies, rates_of
from reports.figures.figure import Figure, Table, exact_text
from reports.figures.lens import DIMENSIONS, USD, Lens
from reports.figures.overview import overview, top
from reports.figures.period import Period
from reports.page.words import rates_words, shown
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from streams.cli.consoles import wide_console
from streams.cli.days import Day, today_utc
from streams.cli.options import FOLDER
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader

SHOWN = 12


@click.command()
@click.option("--from", "first", type=Day(), metavar="DAY", help="First day, UTC.")
@click.option("--to", "last", type=Day(), metavar="DAY", help="Last day, included.")
@click.option(
    "--by",
    type=click.Choice(DIMENSIONS),
    default="team",
    show_default=True,
    help="What the spend is split by.",
)
@click.option("--team", metavar="NAME", help="Only the spend of this team.")
@click.option("--currency", metavar="CODE", default=USD, help="Of the budgets file's rates: HKD.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def spend(
    first: date | None,
    last: date | None,
    by: str,
    team: str | None,
    currency: str,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Show what was spent, day by day and by whom. Example:

        spendstream report spend --from 2026-11-01 --to 2026-11-30 --by department

    This month by default. They are the figures of the page's overview.
    """
    today = today_utc()
    last = last or (today if first is None else max(first, today))
    lens = Lens(
        Period.of(first or last.replace(day=1), last),
        today,
        scope={"team": (team,)} if team else {},
        currency=currency.upper(),
    )
    connection = clickhouse_reader(settings_for(folder, clickhouse=clickhouse))
    try:
        _show(connection, lens, by, as_json)
    finally:
        connection.close()


def _show(connection: ClickHouse, lens: Lens, by: str, as_json: bool) -> None:
    rates = rates_of(connection, lens, currencies(connection))
    found = overview(connection, lens)
    if not found.totals["calls"].value:
        whose = " of this team" if lens.scope else ""
        newest = f"; the newest are of {found.newest_day}" if found.newest_day else ""
        raise UserError(f"there are no calls{whose} from {lens.period} (UTC){newest}")
    parts = top(connection, lens, by, SHOWN)
    figures = [*found.totals.values(), *found.compared.values(), *found.pace.values()]
    if as_json:
        click.echo(json.dumps(_document(lens, figures, found.by_day, parts)))
        return
    console = wide_console()
    whose = "".join(f", {name} {names[0]}" for name, names in lens.scope.items())
    console.print(Text(f"Spend from {lens.period} (UTC){whose}\n"))
    _print_figures(console, figures)
    console.print()
    console.print(terminal.days(found.by_day, "spend", lens.currency))
    console.print(Text(f"\n{parts.title}", style="bold"))
    console.print(terminal.bars(parts, by, "spend", lens.currency))
    if parts.of is not None and (more := parts.of - len(parts.rows)) > 0:
        console.print(f"… and {more:,} more")
    if words := rates_words(rates):
        console.print(Text(f"\n{words}", style="dim"))


def _print_figures(console: Console, figures: Iterable[Figure]) -> None:
    listed = list(figures)
    width = max(len(one.title) for one in listed)
    for one in listed:
        console.print(Text(f"{one.title:{width}}  {shown(one.kind, one.value, one.unit)}"))


def _document(
    lens: Lens, figures: Iterable[Figure], by_day: Table, parts: Table
) -> dict[str, object]:
    """For machines: exact text as `spendstream sql` has it, null where it is not known."""
    return {
        "from": str(lens.period.first),
        "to": str(lens.period.last),
        "currency": lens.currency,
        "figures": {one.name: _exact(one.value) for one in figures},
        **{
            table.name: [
                {name: _exact(value) for name, value in row.items()} for row in table.records()
            ]
            for table in (by_day, parts)
        },
    }


def _exact(value: object) -> str | None:
    return None if value is None else exact_text(value)
