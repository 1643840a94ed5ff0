"""`spendstream report board`: the two pages that go to a board."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import click

from reports.board.as_json import as_document
from reports.board.gather import gather
from reports.board.pdf import set_pdf
from reports.board.setting import document, specifications
from reports.charts.images import picture
from reports.figures.period import Period
from schemas.errors import UserError
from streams.budgets.currencies import CURRENCIES, USD
from streams.cli.days import today_utc
from streams.cli.export import Month
from streams.cli.options import FOLDER
from streams.cli.recorded_rates import record_rates
from streams.file_model import nearest
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader


class Currency(click.ParamType):
    """An ISO 4217 code."""

    name = "currency"

    def convert(self, value: str, param: click.Parameter | None, ctx: object) -> str:
        """Raises UserError for what is no currency."""
        if value not in CURRENCIES:
            near = nearest(value, [code for code in CURRENCIES if code[:2] == value[:2].upper()])
            hint = f"; did you mean {near}?" if near else " such as HKD"
            raise UserError(f"--currency: {value!r} is no ISO 4217 code{hint}")
        return value


@click.command()
@click.option("--month", type=Month(), required=True, metavar="MONTH", help="UTC, as 2026-11.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The PDF.  [default: board-MONTH.pdf]",
)
@click.option(
    "--currency",
    type=Currency(),
    default=USD,
    show_default=True,
    help="By the budgets file's exchange rates.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, exact, and no PDF.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def board(
    month: date,
    out: Path | None,
    currency: str,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Write the two pages that go to a board, every figure with its definition. Example:

        spendstream report board --month 2026-11 --out board.pdf

    A month that is not over is reported as far as it has come, with a forecast. What is in it:
    docs/board-report.md.
    """
    whole, today = Period.month_of(month), today_utc()
    out = out or Path(f"board-{month:%Y-%m}.pdf")
    if not as_json and not out.absolute().parent.is_dir():
        raise UserError(f"--out: there is no folder {out.parent}; make it first")
    settings = settings_for(folder, clickhouse=clickhouse)
    record_rates(settings, whole.first, whole.last)
    connection = clickhouse_reader(settings)
    try:
        found = gather(connection, whole, today, currency)
    finally:
        connection.close()
    if as_json:
        click.echo(json.dumps(as_document(found)))
        return
    pictures = [picture(one, "svg").decode() for one in specifications(found)]
    pdf = set_pdf(document(found), pictures, found.as_of.minute)
    out.write_bytes(pdf)
    click.echo(f"{out}: {whole.first:%B %Y}, as of {found.as_of.minute:%Y-%m-%d %H:%M} UTC")
