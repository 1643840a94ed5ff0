"""`spendstream reconcile`: are archive, ledger and guard equal, and if not, why?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from aiokafka.errors import KafkaError

from schemas.errors import SpendstreamError
from schemas.topics import JOURNAL, USAGE
from sinks.archive import Archive
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.cli.options import connection_options, run
from streams.guard.money import usd
from streams.kafka import cluster_id, producer
from streams.metering.events import Read, decoded_records
from streams.rating.pricebook import PriceBook
from streams.reconciliation.causes import (
    Cause,
    Explanation,
    explained_by_log,
    explained_without_log,
)
from streams.reconciliation.ranges import RangeDifference
from streams.reconciliation.repair import adjust, archive_again
from streams.reconciliation.usage_log import UsageLog
from streams.reconciliation.verdict import Reconciliation
from streams.reconciliation.verdict import reconcile as compare
from streams.schema_registry import schema_lookup
from streams.settings import Settings
from streams.stack.backlog import guard_state
from streams.stack.run_file import settings_for
from streams.stores import clickhouse as connect

LEDGER_SECONDS = 20.0
SHOWN = 20
"""Ranges that are listed; --json has all."""


class LedgerBehind(SpendstreamError):
    """The ledger does not get to where it is waited for."""


@click.command()
@click.option("--repair", is_flag=True, help="Correct what can be corrected, by adjustments.")
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON.")
@connection_options
def reconcile(
    repair: bool, as_json: bool, folder: Path, kafka: str | None, clickhouse: str | None
) -> None:
    """Prove that archive, ledger and guard are equal, per partition and month. Example:

        spendstream reconcile

    Prints every difference and why it is there; exit code 1 where there is one. Exact while events
    flow. With --repair, late duplicates and what the ledger lacks are corrected by adjustments,
    and what the archive lacks is read from the log again; doing it twice changes nothing.
    """
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    verdict = reconciliation(settings)
    done: list[str] = []
    if repair and verdict.repairable:
        done = repaired(settings, verdict)
        verdict = reconciliation(settings)
    if as_json:
        click.echo(json.dumps(as_document(verdict) | {"repaired": done}))
    else:
        for line in [*done, *report(verdict, settings)]:
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
        return compare(connection, guard, lambda found: _explained(settings, connection, found))
    finally:
        connection.close()


def _explained(
    settings: Settings, connection: ClickHouse, found: Sequence[RangeDifference]
) -> list[Explanation]:
    async def ask() -> list[Explanation]:
        archive = Archive(connection, f"{await cluster_id(settings)}/{USAGE}")
        async with UsageLog(settings, {d.partition.partition for d in found}) as log:
            return await explained_by_log(log, archive, found, _read(settings))

    try:
        return asyncio.run(ask())
    except (KafkaError, ConnectionError) as error:
        click.echo(f"the log of {settings.kafka} cannot be asked why: {error!r}", err=True)
        return explained_without_log(found)


def repaired(settings: Settings, verdict: Reconciliation) -> list[str]:
    """Correct what can be; what was done, in words. Returns when the ledger has it."""
    connection = connect(settings)
    try:
        lines = []
        if any(e.cause is Cause.MISSING_IN_ARCHIVE for e in verdict.repairable):
            count = run(settings, _archive_again(settings, connection, verdict))
            lines.append(f"repaired: {count:,} events of the log were archived again")
            verdict = reconciliation(settings)
        positions = run(settings, _adjust(settings, verdict))
        if positions:
            journal = f"{run(settings, cluster_id(settings))}/{JOURNAL}"
            wait_for_entry(connection, journal, max(positions))
            lines.append(f"repaired: {len(positions):,} adjustments were appended to the journal")
        return lines
    finally:
        connection.close()


async def _archive_again(
    settings: Settings, connection: ClickHouse, verdict: Reconciliation
) -> int:
    archive = Archive(connection, f"{await cluster_id(settings)}/{USAGE}")
    partitions = {e.difference.partition.partition for e in verdict.repairable}
    async with UsageLog(settings, partitions) as log:
        return await archive_again(log, archive, verdict.repairable, _read(settings))


async def _adjust(settings: Settings, verdict: Reconciliation) -> list[int]:
    sender = producer(settings)
    await sender.start()
    try:
        return await adjust(sender, verdict.repairable, settings.max_entry_bytes)
    finally:
        await sender.stop()


def _read(settings: Settings) -> Read:
    book = PriceBook.load(settings.prices)
    return partial(decoded_records, book=book, lookup=schema_lookup(settings))


def wait_for_entry(connection: ClickHouse, journal: str, position: int) -> None:
    """Wait until the ledger has this entry. Raises LedgerBehind where it does not come."""
    ledger = Ledger(connection, journal)
    deadline = time.monotonic() + LEDGER_SECONDS
    while (reached := ledger.progress().position) < position:
        if time.monotonic() > deadline:
            raise LedgerBehind(
                f"the ledger is at journal entry {reached}, and {position} is waited for: nothing "
                "can be compared before the ledger sink has caught up; is it running?"
            )
        time.sleep(0.1)


def report(verdict: Reconciliation, settings: Settings) -> list[str]:
    """The verdict in words."""
    figures = verdict.compared
    what = (
        f"{figures.calls:,} calls, {figures.tokens:,} tokens, ${usd(figures.cost):f} "
        f"in {verdict.partitions} source partitions"
    )
    if verdict.ok:
        left = [f"  {line}" for line in _why(verdict)]
        return ["reconcile: OK", f"  archive = ledger = guard: {what}", *left]
    lines = [f"  {difference}" for difference in verdict.differences] + [
        f"  {line}" for line in _why(verdict)
    ]
    if verdict.guard_position is None:
        lines.append(
            f"  the guard at {settings.web_host}:{settings.web_port} does not answer (yet)"
        )
    if verdict.repairable:
        lines.append(
            f"  spendstream reconcile --repair corrects {len(verdict.repairable):,} of these ranges"
        )
    return ["reconcile: NOT OK", f"  compared: {what}", *lines]


def _why(verdict: Reconciliation) -> list[str]:
    lines = [f"{e.difference}: {e.cause}: {e.detail}" for e in verdict.explanations[:SHOWN]]
    more = len(verdict.explanations) - SHOWN
    if more > 0:
        lines.append(f"… and {more:,} more ranges (--json shows them)")
    lines += [
        f"{partition}: not explained: rows in spend that no journal entry stands for"
        for partition in verdict.unplaced
    ]
    return lines


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
        "explanations": [
            {
                "source": e.difference.partition.source,
                "partition": e.difference.partition.partition,
                "start": e.difference.start,
                "through": e.difference.through,
                "calls": e.difference.figures.calls,
                "tokens": e.difference.figures.tokens,
                "cost_usd": f"{usd(e.difference.figures.cost):f}",
                "cause": str(e.cause),
                "detail": e.detail,
            }
            for e in verdict.explanations
        ],
        "unplaced": [str(partition) for partition in verdict.unplaced],
    }
