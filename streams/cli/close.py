"""`spendstream close`: close a month, see its closings, and what has changed since."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from schemas.errors import UserError
from sinks.closings import Closing, Total, closings
from streams.chargeback.closing import Draft, draft, record
from streams.cli.applying import confirmed
from streams.cli.consoles import plain_table, wide_console
from streams.cli.months import Month
from streams.cli.options import FOLDER, whoami
from streams.cli.usd_words import NOTHING, signed_usd, usd_text
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect
from streams.stores import clickhouse_reader

_RESTATEMENTS = """
    SELECT month, number, department, team, reason, restated_calls, restated_cost, last_restated_at
    FROM closing_restatements
    WHERE {month:String} = '' OR month = toDateOrZero({month:String})
    ORDER BY month, department, team, reason
"""
_RESTATED = (
    *("month", "closing", "department", "team", "reason", "restated_calls", "restated_usd"),
    "last_restated_at",
)
MONTH = click.option("--month", type=Month(), metavar="MONTH", help="UTC, as 2026-11.")
CLICKHOUSE = click.option(
    "--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123."
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")


@click.group(invoke_without_command=True)
@MONTH
@click.option("--by", metavar="NAME", help="Who closes it.  [default: user@host]")
@click.option("--why", metavar="TEXT", default="", help="For the reader of the closings.")
@click.option("--yes", is_flag=True, help="Close without asking.")
@FOLDER
@CLICKHOUSE
@click.pass_context
def close(
    context: click.Context,
    month: date | None,
    by: str | None,
    why: str,
    yes: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Close a month: from then on its statements stay as they are. Example:

        spendstream close --month 2026-11 --why "books closed"

    Shows what is closed first, and asks. Nothing is overwritten: to close a month again makes
    another closing. What changes later is on the statement of the next month: docs/chargeback.md.
    """
    if context.invoked_subcommand is not None:
        return
    if month is None:
        raise UserError("--month: name the month to close, such as --month 2026-11")
    console = wide_console()
    now = datetime.now(UTC)
    connection = connect(settings_for(folder, clickhouse=clickhouse))
    try:
        drafted = draft(connection, month, by or whoami(), why, now)
        if not drafted.changes:
            console.print(f"{drafted.before} stands: nothing has changed since")
            return
        _print(console, drafted, now)
        if yes or confirmed(console, "close"):
            record(connection, drafted)
            console.print(f"closed: {drafted.closing}")
    finally:
        connection.close()


@close.command("list")
@MONTH
@AS_JSON
@FOLDER
@CLICKHOUSE
def list_(month: date | None, as_json: bool, folder: Path, clickhouse: str | None) -> None:
    """List the closings. Example:

    spendstream close list
    """
    connection = clickhouse_reader(settings_for(folder, clickhouse=clickhouse))
    try:
        found = [one for one in closings(connection) if month in {None, one.month}]
    finally:
        connection.close()
    if as_json:
        for one in found:
            click.echo(json.dumps(_as_document(one)))
        return
    console = wide_console()
    if not found:
        console.print("there are no closings" + (f" of {month:%Y-%m}" if month else ""))
        return
    rows = [
        (
            f"{one.month:%Y-%m}",
            str(one.number),
            f"{one.closed_at:%Y-%m-%d %H:%M}",
            one.by,
            one.why or NOTHING,
            f"{one.calls:,}",
            usd_text(one.cost),
        )
        for one in found
    ]
    heads = ("month", "closing", "closed (UTC)", "by", "why", "calls", "cost")
    console.print(plain_table(heads, rows, numbers={1, 5, 6}))


@close.command()
@MONTH
@AS_JSON
@FOLDER
@CLICKHOUSE
def diff(month: date | None, as_json: bool, folder: Path, clickhouse: str | None) -> None:
    """Show what has changed in closed months since their newest closing. Example:

    spendstream close diff --month 2026-11
    """
    connection = clickhouse_reader(settings_for(folder, clickhouse=clickhouse))
    try:
        closed = {one.month for one in closings(connection)}
        if month is not None and month not in closed:
            raise UserError(f"--month: {month:%Y-%m} is not closed; see  spendstream close list")
        rows = connection.query(_RESTATEMENTS, {"month": str(month) if month else ""})
    finally:
        connection.close()
    if as_json:
        for row in rows:
            values = (f"{row[0]:%Y-%m}", *row[1:6], _text(row[6]), f"{row[7]:%Y-%m-%dT%H:%M:%SZ}")
            click.echo(json.dumps(dict(zip(_RESTATED, values, strict=True))))
        return
    console = wide_console()
    if not rows:
        console.print("nothing has changed since")
        return
    shown = [
        (
            f"{row[0]:%Y-%m}",
            str(row[1]),
            row[2] or NOTHING,
            row[3],
            row[4],
            f"{row[5]:+,}",
            signed_usd(row[6]),
            f"{row[7]:%Y-%m-%d %H:%M}",
        )
        for row in rows
    ]
    heads = ("month", "closing", "department", "team", "why", "calls", "cost", "last (UTC)")
    console.print(plain_table(heads, shown, numbers={1, 5, 6}))


def _print(console: Console, drafted: Draft, now: datetime) -> None:
    closing = drafted.closing
    before = {(one.department, one.team): one for one in drafted.totals_before}
    console.print(Text(f"{str(closing).capitalize()}, as of what is in the ledger now\n"))
    heads: tuple[str, ...] = ("department", "team", "calls", "cost")
    rows = []
    for one in drafted.totals:
        row = (one.department or NOTHING, one.team, f"{one.calls:,}", usd_text(one.cost))
        rows.append(row + ((_change(one, before),) if drafted.before else ()))
    if drafted.before:
        heads = (*heads, f"since closing {drafted.before.number}")
    console.print(plain_table(heads, rows, numbers={2, 3, 4}))
    console.print(f"{closing.calls:,} calls, {usd_text(closing.cost)}")
    if drafted.early(now):
        console.print(
            "The month ended less than a day ago: its last events may still be on their way",
            style="yellow",
        )


def _change(one: Total, before: dict[tuple[str | None, str], Total]) -> str:
    was = before.get((one.department, one.team))
    difference = (one.cost or Decimal(0)) - ((was.cost if was else None) or Decimal(0))
    return signed_usd(difference) if difference else "unchanged"


def _as_document(one: Closing) -> dict[str, Any]:
    return {
        "month": f"{one.month:%Y-%m}",
        "closing": one.number,
        "closed_at": f"{one.closed_at:%Y-%m-%dT%H:%M:%SZ}",
        "by": one.by,
        "why": one.why,
        "positions": dict(one.positions),
        "calls": one.calls,
        "cost_usd": _text(one.cost),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
