"""`spendstream agreements apply`: a month's rebates and shortfalls into the ledger."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from reports.figures.period import Period
from schemas.errors import UserError
from schemas.journal import money_text
from sinks.clickhouse import ClickHouse
from streams.agreements.apply import Applied, Applier
from streams.agreements.book import read_agreements
from streams.agreements.statement import Statement, outstanding, read_statements
from streams.cli.applying import confirmed, journal_writer, signature
from streams.cli.consoles import wide_console
from streams.cli.months import Month
from streams.cli.options import connection_options, run
from streams.cli.usd_words import signed_exact_pico
from streams.guard.money import usd
from streams.settings import Settings
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect

SHOWN = 20
"""Teams that are listed for each agreement; --json has all."""


@click.command()
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    required=True,
    help="Agreements file, such as examples/agreements.yaml.",
)
@click.option("--month", type=Month(), required=True, metavar="MONTH", help="UTC, such as 2026-11.")
@click.option("--why", metavar="TEXT", default="", help="For the reader of the ledger.")
@click.option("--yes", is_flag=True, help="Apply without asking.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, money exact; never asks.")
@connection_options
def apply(
    file: Path,
    month: date,
    why: str,
    yes: bool,
    as_json: bool,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """True the ledger up by what a month comes to under the signed agreements. Example:

        spendstream agreements apply --file agreements.yaml --month 2026-11 --why "invoice 4711"

    Shows what it would add, and asks. Spread over days, teams and models in proportion, exactly.
    Run again it does nothing; after late spend it adds the difference. The month has to be over.
    """
    book = read_agreements(file)
    if datetime.now(UTC).date() <= (end := Period.month_of(month).last):
        raise UserError(
            f"--month: {month:%Y-%m} is over when {end} (UTC) is, and terms depend on all of it; "
            "`spendstream agreements report` shows it so far"
        )
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    console = wide_console(stderr=as_json)
    connection = connect(settings)
    try:
        found = read_statements(connection, book, month)
        if found.strangers:
            raise UserError(
                f"the ledger was trued up in {month:%Y-%m} for {', '.join(found.strangers)}, which "
                f"{file} does not have as signed; a name is an agreement's identity: bring it "
                "back, with effective_until where it has ended"
            )
        left = outstanding(found.statements)
        if not as_json:
            _print(console, left, month)
        applied: list[Applied] = []
        if left and (yes or (not as_json and confirmed(console))):
            applied = _applied(settings, connection, left, why)
    finally:
        connection.close()
    if as_json:
        click.echo(json.dumps(as_document(month, left, applied)))
    elif applied:
        total = sum(one.pico for one in applied)
        console.print(
            f"applied: {signed_exact_pico(total)} in "
            f"{sum(one.true_ups for one in applied):,} true-ups\n"
            "next: spendstream reconcile proves that nothing else has changed"
        )


def _applied(
    settings: Settings,
    connection: ClickHouse,
    left: Sequence[Statement],
    why: str,
) -> list[Applied]:
    async def body() -> list[Applied]:
        async with journal_writer(settings, connection) as to:
            applier = Applier(connection, to.producer, to.journal, signature(why), to.wait)
            return [await applier.apply(one.agreement, one.month) for one in left]

    return run(settings, body())


def _print(console: Console, left: Sequence[Statement], month: date) -> None:
    console.print(f"Agreements of {month:%Y-%m} (UTC)")
    for one in left:
        so_far = sum(one.applied.values())
        console.print(
            Text(f"\n{one.agreement.name}: {signed_exact_pico(one.outstanding)}", style="bold")
        )
        if one.applied:
            console.print(f"  the ledger has {signed_exact_pico(so_far)} of it so far")
        by_team = _by_team(one)
        for team, amount in by_team[:SHOWN]:
            console.print(Text(f"  team {team}: {signed_exact_pico(amount)}"))
        if (more := len(by_team) - SHOWN) > 0:
            console.print(f"  … and {more:,} more teams (--json shows them)")
    if not left:
        console.print("nothing to apply: the ledger has all of it")
    else:
        console.print()


def _by_team(one: Statement) -> list[tuple[str, int]]:
    """What would be added, pico-dollars, the largest first."""
    teams: Counter[str] = Counter()
    for place, amount in one.to_apply().items():
        teams[place.named["team"]] += amount
    return sorted(teams.items(), key=lambda team: (-abs(team[1]), team[0]))


def as_document(
    month: date, left: Sequence[Statement], applied: Sequence[Applied]
) -> dict[str, object]:
    """What was outstanding, and what was applied of it; USD, exact decimal text."""
    return {
        "month": f"{month:%Y-%m}",
        "outstanding": [
            {
                "agreement": one.agreement.name,
                "usd": money_text(usd(one.outstanding)),
                "places": len(one.to_apply()),
                "teams": {team: money_text(usd(pico)) for team, pico in _by_team(one)},
            }
            for one in left
        ],
        "applied": [
            {
                "agreement": one.agreement,
                "usd": money_text(usd(one.pico)),
                "true_ups": one.true_ups,
            }
            for one in applied
        ],
    }
