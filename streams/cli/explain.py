"""`spendstream explain`: where a dollar comes from, down to the events."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import click
from rich.text import Text
from rich.tree import Tree

from schemas.errors import UserError
from schemas.journal import money_text
from sinks.clickhouse import ClickHouse
from streams.budgets.budget_file import read_budgets
from streams.cli.budget_status import budgets_file
from streams.cli.consoles import wide_console
from streams.cli.days import Day, check_order
from streams.cli.options import FOLDER
from streams.explain.alert import explain_alert
from streams.explain.budget import explain_budget
from streams.explain.cell import SCOPES, Cell, explain_cell
from streams.explain.event import explain_event
from streams.explain.step import Step
from streams.file_model import known_or_nearest
from streams.rating.pricebook import PriceBook
from streams.settings import PREFIX, Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader


@click.group()
def explain() -> None:
    """Show what a figure is made of, down to price, journal entry and events. Example:

        spendstream explain spend --from 2026-11-01 --to 2026-11-30 --where team=search

    Exit code 1 where something does not add up.
    """


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123."),
        FOLDER,
        click.option("--sql", "with_sql", is_flag=True, help="Show the query behind each figure."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact."),
    ):
        command = option(command)
    return command


@explain.command()
@click.argument("event_id")
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Price overrides.  [default: the running stack's, or {PREFIX}PRICES]",
)
@_common
def event(event_id: str, prices: Path | None, **options: Any) -> None:
    """Explain one event: its price, the entry that counted it, where it stands in the log. Example:

    spendstream explain event 01JBR5K4Z3
    """

    def found(clickhouse: ClickHouse, settings: Settings) -> Step:
        book = PriceBook.load(prices or settings.prices)
        return explain_event(clickhouse, book, event_id)

    _answer(found, **options)


@explain.command()
@click.argument("alert_id")
@_common
def alert(alert_id: str, **options: Any) -> None:
    """Explain an alert: its history, its evidence, and the spend that it is about. Example:

    spendstream explain alert 5c0f2b6a9d3e8f17
    """
    _answer(lambda clickhouse, _: explain_alert(clickhouse, alert_id), **options)


@explain.command()
@click.argument("name")
@click.option("--of", "member", multiple=True, metavar="DIMENSION=NAME", help="Which member.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help=f"Budgets file.  [default: the running stack's, or {PREFIX}BUDGETS]",
)
@_common
def budget(name: str, member: tuple[str, ...], file: Path | None, **options: Any) -> None:
    """Explain what is used of a budget: of its fullest member, or of the one named. Example:

    spendstream explain budget teams --of team=search
    """
    wanted = {dimension: values[0] for dimension, values in _where(member, "--of").items()}

    def found(clickhouse: ClickHouse, settings: Settings) -> Step:
        return explain_budget(clickhouse, read_budgets(budgets_file(file, settings)), name, wanted)

    _answer(found, **options)


@explain.command()
@click.option("--from", "first", type=Day(), required=True, metavar="DAY", help="First day, UTC.")
@click.option("--to", "last", type=Day(), required=True, metavar="DAY", help="Last day, included.")
@click.option(
    "--where",
    multiple=True,
    metavar="DIMENSION=NAME",
    help="Narrow it down; the same dimension again adds a name.",
)
@_common
def spend(first: date, last: date, where: tuple[str, ...], **options: Any) -> None:
    """Explain a cell of a report: the spend of some days and a scope. Example:

    spendstream explain spend --from 2026-11-01 --to 2026-11-30 --where team=search
    """
    check_order(first, last)
    since, until = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))
    cell = Cell(since, until, _where(where, "--where"))
    _answer(lambda clickhouse, _: explain_cell(clickhouse, cell), **options)


def _where(given: tuple[str, ...], flag: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        match = re.fullmatch(r"(\w+)=(.+)", text, re.DOTALL)
        if match is None:
            raise UserError(f"{flag}: {text!r} is not DIMENSION=NAME, such as team=search")
        dimension, value = match.groups()
        if dimension not in SCOPES:
            hint = known_or_nearest(dimension, list(SCOPES))
            raise UserError(f"{flag}: there is no dimension {dimension!r}; {hint}")
        found[dimension] = (*found.get(dimension, ()), value)
    return found


def _answer(
    found: Callable[[ClickHouse, Settings], Step],
    *,
    as_json: bool,
    with_sql: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    settings = settings_for(folder, clickhouse=clickhouse)
    connection = clickhouse_reader(settings)
    try:
        step = found(connection, settings)
    finally:
        connection.close()
    if as_json:
        click.echo(json.dumps(step.as_json()))
    else:
        console = wide_console()
        console.print(_tree(step, with_sql))
    if any(step.doubts()):
        raise click.exceptions.Exit(1)


def _tree(step: Step, with_sql: bool, tree: Tree | None = None) -> Tree:
    label = Text()
    if step.amount is not None:
        label.append(f"${money_text(step.amount)}  ", "bold green")
    label.append(step.title, "bold" if tree is None else "")
    for fact in step.facts:
        label.append(f"\n{fact}", "dim")
    if step.doubt is not None:
        label.append(f"\nbut {step.doubt}", "yellow")
    if with_sql and step.sql is not None:
        label.append(f"\n{step.sql}", "cyan")
    branch = Tree(label, guide_style="dim") if tree is None else tree.add(label)
    for below in step.because:
        _tree(below, with_sql, branch)
    return branch
