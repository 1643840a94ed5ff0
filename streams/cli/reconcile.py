"""`spendstream reconcile`: are archive, ledger and guard equal to the last digit?"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import click

from schemas.errors import SpendstreamError
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.cli.options import connection_options
from streams.guard.money import usd
from streams.reconcile import Reconciliation
from streams.reconcile import reconcile as compare
from streams.settings import Settings
from streams.stack.backlog import guard_state
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect

LEDGER_SECONDS = 20.0


class LedgerBehind(SpendstreamError):
    """The ledger does not get to where the guard is."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON.")
@connection_options
def reconcile(as_json: bool, folder: Path, kafka: str | None, clickhouse: str | None) -> None:
    """Prove that archive, ledger and guard are equal, per source partition. Example:

        spendstream reconcile

    Prints every difference; exit code 1 where there is one. Exact while events flow.
    """
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    verdict = reconciliation(settings)
    if as_json:
        click.echo(json.dumps(as_document(verdict)))
    else:
        for line in report(verdict, settings):
            click.echo(line)
    if not verdict.ok:
        raise click.exceptions.Exit(1)


def reconciliation(settings: Settings) -> Reconciliation:
    """Ask all three copies. Where the guard is ahead of the ledger, wait for the ledger."""
    guard = asyncio.run(guard_state(settings))
    connection = connect(settings)
    try:
        if guard is not None:
            wait_for_entry(connection, guard["journal"], int(guard["position"]))
        return compare(connection, guard)
    finally:
        connection.close()


def wait_for_entry(connection: ClickHouse, journal: str, position: int) -> None:
    """Wait until the ledger has this entry. Raises LedgerBehind where it does not come."""
    ledger = Ledger(connection, journal)
    deadline = time.monotonic() + LEDGER_SECONDS
    while (reached := ledger.progress().position) < position:
        if time.monotonic() > deadline:
            raise LedgerBehind(
                f"the ledger is at journal entry {reached}, the guard at {position}: nothing can "
                "be compared before the ledger sink has caught up; is it running?"
            )
        time.sleep(0.1)


def report(verdict: Reconciliation, settings: Settings) -> list[str]:
    """The verdict in words."""
    lines = [f"  {difference}" for difference in verdict.differences]
    if verdict.guard_position is None:
        lines.append(
            f"  the guard at {settings.web_host}:{settings.web_port} does not answer (yet)"
        )
    figures = verdict.compared
    what = (
        f"{figures.calls:,} calls, {figures.tokens:,} tokens, ${usd(figures.cost):f} "
        f"in {verdict.partitions} source partitions"
    )
    if verdict.ok:
        return ["reconcile: OK", f"  archive = ledger = guard: {what}"]
    return ["reconcile: NOT OK", f"  compared: {what}", *lines]


def as_document(verdict: Reconciliation) -> dict[str, object]:
    """The verdict for machines."""
    return {
        "ok": verdict.ok,
        "calls": verdict.compared.calls,
        "tokens": verdict.compared.tokens,
        "cost_usd": f"{usd(verdict.compared.cost):f}",
        "partitions": verdict.partitions,
        "guard_position": verdict.guard_position,
        "differences": [str(difference) for difference in verdict.differences],
    }
