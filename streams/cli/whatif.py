"""`spendstream whatif`: what past spend would become if prices or usage changed."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import click

from reports.figures.period import Period
from reports.scenarios.base import Base, newest_day, read_base
from reports.scenarios.budgets import against_budgets
from reports.scenarios.scenario import UNCHANGED, Scenario
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from streams.cli.consoles import wide_console
from streams.cli.days import Day, check_order, today_utc
from streams.cli.months import Month
from streams.cli.options import FOLDER
from streams.cli.whatif_view import as_document, print_scenario
from streams.file_model import known_or_nearest
from streams.stack.run_file import settings_for
from streams.stores import clickhouse_reader
from streams.whatif.changes import parse_change

PRICE, USAGE = "+30%..+50%", "x4"
"""The scenario where none is named."""


@click.command()
@click.option("--price", metavar="CHANGE", help=f"Of prices, such as {PRICE}, -10%.")
@click.option("--usage", metavar="CHANGE", help=f"Of usage, such as {USAGE}, x2..x4, +20%.")
@click.option("--month", type=Month(), metavar="MONTH", help="Base month, UTC, such as 2026-11.")
@click.option("--from", "first", type=Day(), metavar="DAY", help="Or: first day of the base, UTC.")
@click.option("--to", "last", type=Day(), metavar="DAY", help="Last day of the base, included.")
@click.option("--provider", metavar="NAME", help="Only this provider's spend changes.")
@click.option("--model", metavar="NAME", help="Only this model's spend changes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact.")
@FOLDER
@click.option("--clickhouse", metavar="URL", help="ClickHouse, such as http://host:8123.")
def whatif(
    price: str | None,
    usage: str | None,
    month: date | None,
    first: date | None,
    last: date | None,
    provider: str | None,
    model: str | None,
    as_json: bool,
    folder: Path,
    clickhouse: str | None,
) -> None:
    """Show what past spend would become if prices or usage changed. Example:

        spendstream whatif --price +30%..+50% --usage x4 --month 2026-11

    A change is a percentage with its sign, xN for N times as much, or from..to. Without --price and
    --usage it is the example's. The base is a month: without one, the newest that is over.
    """
    scenario = _scenario(price, usage, provider, model)
    settings = settings_for(folder, clickhouse=clickhouse)
    connection = clickhouse_reader(settings)
    try:
        base = read_base(connection, *_days(connection, month, first, last))
        _check(base, provider, model)
        budgets = against_budgets(connection, base, scenario)
    finally:
        connection.close()
    said = _words(scenario, price, usage)
    if as_json:
        click.echo(json.dumps(as_document(base, scenario, budgets, said)))
        return
    print_scenario(wide_console(), base, scenario, budgets, said)


def _scenario(
    price: str | None, usage: str | None, provider: str | None, model: str | None
) -> Scenario:
    if price is None and usage is None:
        price, usage = PRICE, USAGE
    if model is not None and provider is None and "/" in model:
        raise UserError(
            f"--model: {model!r} has a slash; write "
            f"--provider {model.partition('/')[0]} --model {model.partition('/')[2]}"
        )
    return Scenario(
        UNCHANGED if price is None else parse_change("--price", price),
        UNCHANGED if usage is None else parse_change("--usage", usage),
        provider,
        model,
    )


def _days(
    clickhouse: ClickHouse, month: date | None, first: date | None, last: date | None
) -> tuple[date, date]:
    if month is not None:
        if first is not None or last is not None:
            raise UserError("--month: says the days already; leave out --from and --to")
        found = Period.month_of(month)
        return found.first, found.last
    if first is not None and last is not None:
        check_order(first, last)
        return first, last
    if first is not None or last is not None:
        raise UserError("--from and --to go together; give both, or --month")
    today = today_utc()
    newest = newest_day(clickhouse, today.replace(day=1))
    if newest is None:
        newest = newest_day(clickhouse, today + timedelta(days=1))
    if newest is None:
        raise UserError("the ledger is empty: there is no month to start from")
    found = Period.month_of(newest)
    return found.first, found.last


def _check(base: Base, provider: str | None, model: str | None) -> None:
    if not base.lines:
        raise UserError(f"there is no spend from {base.first} to {base.last} (UTC)")
    for option, wanted, names in (
        ("--provider", provider, {line.provider for line in base.lines}),
        (
            "--model",
            model,
            {
                line.model
                for line in base.lines
                if provider is None or line.provider.casefold() == provider.casefold()
            },
        ),
    ):
        if wanted is not None and wanted.casefold() not in {name.casefold() for name in names}:
            raise UserError(
                f"{option}: no spend of these days has {wanted!r}; "
                f"{known_or_nearest(wanted, sorted(names))}"
            )


def _words(scenario: Scenario, price: str | None, usage: str | None) -> str:
    if price is None and usage is None:
        price, usage = PRICE, USAGE
    changes = [f"{what} {said}" for what, said in (("prices", price), ("usage", usage)) if said]
    whose = "/".join(name for name in (scenario.provider, scenario.model) if name)
    return " and ".join(changes) + (f", of {whose} alone" if whose else "")
