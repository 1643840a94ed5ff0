"""`spendstream up`: the embedded stack until Ctrl-C."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from aiokafka.errors import KafkaError
from rich.console import Console

from sinks.clickhouse import ClickHouseError
from streams.cli.options import FOLDER
from streams.guard.budget_file import read_budgets
from streams.stack.backlog import wait_until_empty
from streams.stack.stack import Ports, Stack
from streams.stage import configure_logging, run_stage

DRAIN_SECONDS = 30.0
PORT = click.IntRange(1, 65535)


@click.command()
@FOLDER
@click.option("--broker-port", type=PORT, default=9092, show_default=True)
@click.option("--clickhouse-port", type=PORT, default=8123, show_default=True)
@click.option("--web-port", type=PORT, default=6066, show_default=True)
@click.option(
    "--budgets",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Budgets file; read again when it changes.",
)
@click.option("--prices", type=click.Path(path_type=Path, dir_okay=False), help="Price overrides.")
def up(
    folder: Path,
    broker_port: int,
    clickhouse_port: int,
    web_port: int,
    budgets: Path | None,
    prices: Path | None,
) -> None:
    """Run everything on this machine: broker, ClickHouse, meter, sinks and guard. Example:

        spendstream up --budgets budgets.yaml

    It needs no Docker. Data stays in the folder; what is not yet in ClickHouse when the stack is
    killed is gone, as the embedded broker keeps it in memory. Ctrl-C drains it first.
    """
    from streams.rating.pricebook import PriceBook

    configure_logging("up", "INFO")
    files: dict[str, object] = {}
    if budgets is not None:
        read_budgets(budgets)
        files["budgets"] = budgets.resolve()
    if prices is not None:
        PriceBook.load(prices)
        files["prices"] = prices.resolve()
    console = Console(stderr=False, highlight=False)
    stack = Stack(folder, Ports(broker_port, clickhouse_port, web_port), **files)

    async def body(stop: asyncio.Event) -> None:
        try:
            with console.status("starting broker, ClickHouse and stages"):
                await stack.start()
            _announce(console, stack)
            await stack.serve(stop)
            console.print("stopping: what was published is landed first (Ctrl-C again: at once)")
            await _drain(console, stack)
        finally:
            await stack.stop()
        console.print("stopped")

    run_stage(body)


def _announce(console: Console, stack: Stack) -> None:
    host = "127.0.0.1"
    console.print("[bold green]spendstream is up[/]  (Ctrl-C stops it)\n")
    for what, where in (
        ("publish usage to", f"kafka://{stack.settings.kafka}  topic llm.usage"),
        ("ask with SQL", f"{stack.settings.clickhouse}  or: spendstream sql 'SELECT …'"),
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
            f"[yellow]{left.unmetered} events are not in the ledger and {left.unarchived} not in "
            "the archive; they are lost with the broker[/]"
        )
