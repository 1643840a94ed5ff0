"""`spendstream replay`: a trace or a file of events onto the usage topic."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.errors import SpendstreamError
from streams.cli.options import connection_options, run
from streams.settings import Settings
from streams.stack.backlog import wait_until_empty
from streams.stack.run_file import settings_for
from streams.traffic.mooncake import DEFAULT_START
from streams.traffic.pace import checked_speed
from streams.traffic.publish import publish, usage_producer
from streams.traffic.roster import load_roster
from streams.traffic.traces import FORMATS, read_trace, record_count

LANDING_SECONDS = 120.0


class NotLanded(SpendstreamError):
    """What was published did not get into ClickHouse in time."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "trace_format", type=click.Choice(list(FORMATS)), required=True)
@click.option(
    "--speed",
    type=float,
    default=0.0,
    show_default=True,
    help="0: as fast as possible; 1: as it happened; N: N times as fast.",
)
@click.option(
    "--roster",
    type=click.Path(path_type=Path),
    help="YAML file of the teams, users and models that rows are assigned to.",
)
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Begin of a trace that has no dates (mooncake), UTC.",
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until ClickHouse has it.")
@connection_options
def replay(
    file: Path,
    trace_format: str,
    speed: float,
    roster: Path | None,
    start: datetime | None,
    wait: bool,
    folder: Path,
    kafka: str | None,
    clickhouse: str | None,
) -> None:
    """Publish FILE as usage events. Ids follow from the file: replaying it again adds nothing,
    as long as SPENDSTREAM_DEDUPE_HORIZON reaches back over it.

    Formats: azure-trace (CSV of Azure's LLM inference trace), mooncake (JSONL of the Mooncake
    trace), jsonl (one usage event or CloudEvent per line). Example:

        spendstream replay azure_llm_2023_conv.csv --format azure-trace --speed 0
    """
    settings = settings_for(folder, kafka=kafka, clickhouse=clickhouse)
    begin = DEFAULT_START if start is None else start.replace(tzinfo=UTC)
    pace = checked_speed(speed)
    records = read_trace(file, trace_format, load_roster(roster), start=begin)
    total = record_count(file, trace_format)
    console = Console(highlight=False)

    async def body(bar: Progress) -> None:
        producer = usage_producer(settings)
        task = bar.add_task("publishing", total=total)
        began = time.monotonic()
        try:
            await producer.start()
            count = await publish(
                producer, records, pace, lambda done: bar.update(task, completed=done)
            )
        finally:
            await producer.stop()
        took = time.monotonic() - began
        console.print(f"published {count:,} events in {took:.1f} s")
        if wait:
            await landed(settings, bar)

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        run(settings, body(bar))
    if wait:
        console.print(
            "all of it is in ClickHouse: try  spendstream sql 'SELECT * FROM spend_by_team'"
        )


async def landed(settings: Settings, bar: Progress) -> None:
    """Wait until everything published is in ClickHouse. Raises NotLanded."""
    task = bar.add_task("waiting for ledger and archive", total=None)
    try:
        left = await wait_until_empty(settings, LANDING_SECONDS)
    except KafkaError as error:
        raise NotLanded(f"the broker went away while waiting: {error}") from error
    bar.remove_task(task)
    if not left.empty:
        raise NotLanded(
            f"published, but after {LANDING_SECONDS:.0f} s {left.unmetered:,} events are not in "
            f"the ledger, {left.unarchived:,} not in the archive, {left.unguarded:,} entries not "
            "with the guard; spendstream doctor says more"
        )
