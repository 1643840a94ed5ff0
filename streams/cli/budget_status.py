"""`spendstream budgets status`: how full the budgets are, and when they will be used up."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import click
from rich.table import Table
from rich.text import Text

from schemas.errors import UserError
from sinks.amounts import amount_text, bar, duration_text, limit_text
from streams.budgets.book import BudgetBook
from streams.budgets.budget_file import read_budgets
from streams.budgets.describe import length
from streams.budgets.periods import Rolling
from streams.budgets.standing import Standing, standings_of_ledger
from streams.cli.consoles import wide_console
from streams.cli.options import FOLDER
from streams.cli.usd_words import NOTHING
from streams.file_model import known_or_nearest
from streams.settings import PREFIX, Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader

SHOWN = 20
ROOMY = 110
"""A terminal with fewer columns gets two lines for a member."""
COLUMNS = ("budget", "who", "period", "used", "", "forecast", "an hour", "full in")
NAMES = {"budget", "who", "period"}
NUMBERS = {"used", "forecast", "an hour", "full in"}
METHOD = (
    "Forecast: what is used, and for what is left of the period the average of the last seven days "
    "(of the time since the first call, where that is shorter), which is the pace per hour too. "
    "Windows that move have no end to forecast."
)


@click.command()
@click.option("--budget", "name", metavar="NAME", help="Only this budget.")
@click.option(
    "--top", type=click.IntRange(1), help=f"So many of the fullest.  [default: {SHOWN}; --json all]"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help=f"Budgets file.  [default: the running stack's, or {PREFIX}BUDGETS]",
)
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def status(
    name: str | None,
    top: int | None,
    as_json: bool,
    file: Path | None,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Show what each member has used of its budget, and where it is heading. Example:

        spendstream budgets status --budget users --top 50

    As of the newest minute of the ledger; it needs no guard.
    """
    settings = settings_for(folder, clickhouse=clickhouse)
    book = read_budgets(budgets_file(file, settings))
    if name is not None:
        book = _only(book, name)
    connection = clickhouse_reader(settings)
    try:
        found = standings_of_ledger(connection, book)
    finally:
        connection.close()
    if found is None:
        raise UserError(f"the ledger in {settings.clickhouse} is empty: nothing was spent yet")
    members = found.members if as_json and top is None else found.members[: top or SHOWN]
    more = len(found.members) - len(members)
    if as_json:
        document = {
            "at": found.at.isoformat(),
            "timezone": book.timezone,
            "budgets": [member.as_json() for member in members],
            "more": more,
        }
        click.echo(json.dumps(document))
        return
    console = wide_console()
    local = found.at.astimezone(ZoneInfo(book.timezone))
    console.print(f"As of {local:%Y-%m-%d %H:%M} {book.timezone}, the ledger's newest minute")
    if not members:
        console.print("Nothing was used of any budget in its current period.")
        return
    console.print(_table(members, found.at, console.width))
    if more:
        console.print(f"… and {more:,} more, less full (--top {len(found.members)} shows them)")
    console.print(METHOD, style="dim")


def budgets_file(given: Path | None, settings: Settings) -> Path:
    """The budgets file that a command is about. Raises UserError where there is none."""
    path = given or settings.budgets
    if path is None:
        raise UserError(f"which budgets? Name their file with --file, or in {PREFIX}BUDGETS")
    return path


def _only(book: BudgetBook, name: str) -> BudgetBook:
    names = [budget.name for budget in book.budgets]
    if name not in names:
        hint = known_or_nearest(name, names)
        raise UserError(f"--budget: the file has no budget {name!r}; {hint}")
    return book.model_copy(update={"budgets": (book.budgets[names.index(name)],)})


def _table(members: list[Standing], now: datetime, width: int) -> Table:
    roomy = width >= ROOMY
    gap, line = (2, " ") if roomy else (1, "\n")
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")
    for column in COLUMNS:
        justify: Literal["left", "right"] = "right" if column in NUMBERS else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column not in NAMES)
    for member in members:
        table.add_row(*_cells(member, now, line))
    return table


def _cells(member: Standing, now: datetime, line: str) -> list[Text]:
    """``line``: what is between the parts of a cell, a blank or a new line."""
    spent, outlook = member.spent, member.outlook
    unit, period = spent.budget.unit, spent.budget.period
    full_in = NOTHING
    if spent.reached(100):
        full_in = "full"
    elif outlook and outlook.breach:
        full_in = duration_text(outlook.breach - now)
    forecast = Text(NOTHING)
    if outlook:
        over = outlook.forecast > spent.limit
        amount = outlook.forecast if spent.budget.is_money else round(outlook.forecast)
        forecast = Text(amount_text(Decimal(amount), unit), "red" if over else "")
    if isinstance(period, Rolling):
        when = f"any {length(period)}"
    else:
        when = f"{spent.period.name},{line}{duration_text(spent.period.end - now)} left"
    share = f"{bar(spent.used, spent.limit) or ''}{line}{spent.percent:,f} %"
    return [
        # Texts, as a name may look like markup.
        Text(spent.budget.name),
        Text(spent.who),
        Text(when),
        Text(f"{amount_text(spent.used, unit)}{line}of {limit_text(spent.limit, unit)}"),
        Text(share, _colour(spent.percent)),
        forecast,
        Text(amount_text(outlook.hourly, unit) if outlook else NOTHING),
        Text(full_in),
    ]


def _colour(percent: Decimal) -> str:
    return "red" if percent >= 100 else "yellow" if percent >= 80 else "green"
