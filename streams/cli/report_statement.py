"""`spendstream report statement`: what each department is charged for a month."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from reports.chargeback.boundaries import asof
from reports.chargeback.document import Paper, exact
from reports.chargeback.files import MAKERS, write_papers
from reports.chargeback.lines import lines_of
from reports.chargeback.rules import Rules
from reports.chargeback.statement import statements, summed
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from sinks.closings import closings, positions_now
from streams.chargeback.rules_file import check_names, load_rules, unknown_department
from streams.cli.consoles import plain_table, wide_console
from streams.cli.months import Month
from streams.cli.options import FOLDER
from streams.cli.usd_words import usd_text
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader

ALL = "all"
_NAMES = """
    SELECT groupUniqArray(toString(department)), groupUniqArray(toString(team)) FROM spend_daily
"""


class Formats(click.ParamType):
    """Formats, separated by commas."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: Any) -> tuple[str, ...]:
        """Raises UserError for one that there is not."""
        if isinstance(value, tuple):
            return value
        wanted = tuple(dict.fromkeys(part.strip() for part in str(value).split(",")))
        for one in wanted:
            if one not in MAKERS:
                raise UserError(f"--format: {one!r} is none; write some of {','.join(MAKERS)}")
        return wanted


@click.command()
@click.option("--month", type=Month(), required=True, metavar="MONTH", help="UTC, as 2026-11.")
@click.option(
    "--department", default=ALL, show_default=True, metavar="NAME", help="Whose statement."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the files."
)
@click.option(
    "--format",
    "formats",
    type=Formats(),
    default=",".join(MAKERS),
    show_default=True,
    metavar="LIST",
    help="Some of them, separated by commas.",
)
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Markup, shared costs and currency, as in examples/chargeback.yaml.",
)
@click.option("--closing", type=int, metavar="NUMBER", help="As of it.  [default: the newest]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per statement.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def statement(
    month: date,
    department: str,
    out: Path | None,
    formats: tuple[str, ...],
    rules_file: Path | None,
    closing: int | None,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Charge a month to the departments: shows the totals, and writes statements. Example:

        spendstream report statement --month 2026-11 --rules chargeback.yaml --out statements

    Of a closed month it says what was closed, however often it is asked: spendstream close. Rules,
    columns, and how amounts are rounded: docs/chargeback.md.
    """
    rules, file = (Rules(), None) if rules_file is None else load_rules(rules_file, month)
    connection = clickhouse_reader(settings_for(folder, clickhouse=clickhouse))
    try:
        if file is not None:
            ((departments, teams),) = connection.query(_NAMES)
            check_names(rules, file, set(departments), set(teams))
        papers = _papers(connection, month, closing, rules)
    finally:
        connection.close()
    if not papers:
        raise UserError(f"--month: the ledger has nothing of {month:%Y-%m} (UTC)")
    only = None if department == ALL else department
    shown = [paper for paper in papers if only in {None, paper.department}]
    if not shown:
        raise unknown_department(department, [paper.department for paper in papers])
    files: list[Path] = []
    if out is not None:
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("writing", total=len(shown) * len(formats))

            def made(path: Path) -> None:
                files.append(path)
                progress.advance(task)

            write_papers(papers, out, formats, only, made)
    if as_json:
        for paper in shown:
            click.echo(json.dumps(_document(paper)))
        return
    _print(shown, files)


def _papers(connection: ClickHouse, month: date, closing: int | None, rules: Rules) -> list[Paper]:
    found = asof(closings(connection), month, positions_now(connection), closing)
    made = statements(lines_of(connection, found), rules)
    return [Paper(one, found, rules) for one in made]


def _print(papers: Sequence[Paper], files: Sequence[Path]) -> None:
    console = wide_console()
    first = papers[0]
    rules = first.rules
    console.print(Text(f"Statements of {first.asof.month:%Y-%m} (UTC)"))
    console.print(Text(f"{first.standing}\n"))
    heads = ("department", "usage", "restated", "shared", "markup", "total", rules.currency)
    table = plain_table(heads, numbers=range(1, len(heads)))
    for paper in papers:
        one = paper.statement
        row = (one.usage, one.restated, one.shared_cost, one.markup, one.total)
        table.add_row(Text(paper.department), *map(usd_text, row), f"{one.amount:,f}")
    if len(papers) > 1:
        sums = summed([paper.statement for paper in papers])
        *usd, amount = sums.values()
        table.add_row("all", *map(usd_text, usd), f"{amount:,f}", style="bold")
    console.print(table)
    if unpriced := sum(paper.statement.unpriced for paper in papers):
        console.print(f"calls without a known price, which are not charged: {unpriced:,}")
    if rules.rate_since is not None:
        console.print(Text(first.conversion), style="dim")
    for path in files:
        console.print(Text(str(path)))


def _document(paper: Paper) -> dict[str, Any]:
    one, closing = paper.statement, paper.asof.closing
    return {
        "month": f"{paper.asof.month:%Y-%m}",
        "department": one.department,
        "closing": None if closing is None else closing.number,
        "positions": dict(paper.asof.positions),
        "usage_usd": exact(one.usage),
        "restated_usd": exact(one.restated),
        "shared_usd": exact(one.shared_cost),
        "markup_percent": exact(one.percent),
        "markup_usd": exact(one.markup),
        "total_usd": exact(one.total),
        "currency": paper.rules.currency,
        "rate": exact(paper.rules.rate),
        "amount": f"{one.amount:f}",
        "calls_without_cost": one.unpriced,
    }
