"""`spendstream up`: the embedded stack until Ctrl-C, on its own broker or on a Kafka."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click
from aiokafka.errors import KafkaError
from rich.console import Console

from sinks.clickhouse import ClickHouseError
from streams.alerts.alerting_file import read_alerting
from streams.alerts.channels import channels_of
from streams.budgets.budget_file import read_budgets
from streams.cli.options import FOLDER
from streams.detectors.settings_file import read_detectors
from streams.settings import load_settings
from streams.stack.backlog import wait_until_empty
from streams.stack.ports import Ports
from streams.stack.stack import Stack
from streams.stage import configure_logging, run_stage
from streams.web.tokens import read_tokens

DRAIN_SECONDS = 30.0
PORT = click.IntRange(1, 65535)


@click.command()
@FOLDER
@click.option(
    "--kafka",
    metavar="HOST:PORT[,…]",
    help="Bootstrap servers of a Kafka of your own, in place of the embedded broker.",
)
@click.option("--broker-port", type=PORT, show_default="9092")
@click.option("--clickhouse-port", type=PORT, default=8123, show_default=True)
@click.option("--web-port", type=PORT, default=6066, show_default=True)
@click.option("--ingest-port", type=PORT, default=6067, show_default=True)
@click.option(
    "--budgets",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Budgets file; read again when it changes.",
)
@click.option("--prices", type=click.Path(path_type=Path, dir_okay=False), help="Price overrides.")
@click.option(
    "--detectors",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Detectors file; read again when it changes.",
)
@click.option(
    "--alerting",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Alerting file: channels, routes, quiet hours.",
)
@click.option(
    "--tokens",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Tokens file: who may post events, for which teams; read again when it changes.",
)
def up(
    folder: Path,
    kafka: str | None,
    broker_port: int | None,
    clickhouse_port: int,
    web_port: int,
    ingest_port: int,
    budgets: Path | None,
    prices: Path | None,
    detectors: Path | None,
    alerting: Path | None,
    tokens: Path | None,
) -> None:
    """Run everything on this machine: broker, ClickHouse, meter, sinks, guard and web. Example:

        spendstream up --budgets budgets.yaml

    It needs no Docker. Data stays in the folder; what is not yet in ClickHouse when the stack is
    killed is gone, as the embedded broker keeps it in memory. Ctrl-C drains it first.

    With --kafka no broker is started, and nothing is lost: the topics are made where they are
    missing, and the next start goes on where this one ended.
    """
    from streams.rating.pricebook import PriceBook

    if kafka is not None and broker_port is not None:
        raise click.UsageError("--broker-port is of the embedded broker: leave it out, or --kafka")
    configure_logging("up", "INFO")
    # A broker that cannot be reached is one line, ours.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    files: dict[str, object] = {}
    if budgets is not None:
        read_budgets(budgets)
        files["budgets"] = budgets.resolve()
    if prices is not None:
        PriceBook.load(prices)
        files["prices"] = prices.resolve()
    if detectors is not None:
        read_detectors(detectors)
        files["detectors"] = detectors.resolve()
    if alerting is not None:
        channels_of(load_settings(), read_alerting(alerting))
        files["alerting"] = alerting.resolve()
    if tokens is not None:
        read_tokens(tokens)
        files["tokens"] = tokens.resolve()
    console = Console(stderr=False, highlight=False)
    ports = Ports(broker_port or Ports().broker, clickhouse_port, web_port, ingest_port)
    stack = Stack(folder, ports, kafka=kafka, **files)

    async def body(stop: asyncio.Event) -> None:
        try:
            broker = "broker, " if stack.embedded else ""
            with console.status(f"starting {broker}ClickHouse and stages"):
                await stack.start()
            _announce(console, stack)
            await stack.serve(stop)
            if stack.embedded:
                console.print(
                    "stopping: what was published is landed first (Ctrl-C again: at once)"
                )
                await _drain(console, stack)
            else:
                console.print("stopping: Kafka keeps what is not in ClickHouse yet")
        finally:
            await stack.stop()
        console.print("stopped")

    run_stage(body)


def _announce(console: Console, stack: Stack) -> None:
    host = "127.0.0.1"
    console.print("[bold green]spendstream is up[/]  (Ctrl-C stops it)\n")
    for what, where in (
        ("publish usage to", f"kafka://{stack.settings.kafka}  topic llm.usage"),
        ("or post it to", f"{stack.ingest}/v1/events"),
        ("ask with SQL", f"{stack.settings.clickhouse}  or: spendstream sql 'SELECT …'"),
        ("look at it", f"{stack.ingest}/"),
        ("budgets, alerts", f"http://{host}:{stack.ports.web}/v1/budgets  and  /v1/alerts"),
        ("data and logs", str(stack.folder.resolve())),
    ):
        console.print(f"  {what:<17} {where}")
    if stack.settings.budgets is None:
        console.print("  budgets           none; give some with --budgets FILE")


async def _drain(console: Console, stack: Stack) -> None:
    loop = asyncio.get_running_loop()
    draining = asyncio.create_task(wait_until_empty(stack.settings, DRAIN_SECONDS))
    again = asyncio.Event()
    import signal

    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, again.set)
    hurried = asyncio.create_task(again.wait())
    await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not draining.done():
        draining.cancel()
        console.print("[yellow]not drained: unlanded events are lost with the broker[/]")
        return
    try:
        left = draining.result()
    except (KafkaError, ClickHouseError) as error:
        console.print(f"[yellow]not drained: {error}[/]")
        return
    if not left.empty:
        console.print(
            f"[yellow]{left.unmetered} events are not in the ledger, {left.unarchived} not in the "
            f"archive, and {left.unlanded_outcomes} outcomes not in ClickHouse; they are lost with "
            "the broker[/]"
        )
