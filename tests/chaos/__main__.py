"""`python -m tests.chaos`: exit code 0 where nothing was lost or doubled, 1 where something was, 2
where the suite itself failed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import click
from rich.console import Console

from streams.settings import PREFIX
from tests.chaos.catalogue import FAULTS
from tests.chaos.fault import Fault
from tests.chaos.plan import MIXED_SECONDS, Plan, drawn, made
from tests.chaos.report import document, show
from tests.chaos.rounds import Round, Rounds
from tests.chaos.world import World
from tests.support.kafka_jars import kafka_unavailable
from tests.support.receiver import receiving


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", default=600.0, show_default=True, help="About how long to go on.")
@click.option("--seed", default=1, show_default=True, help="Chooses victims, moments and pairs.")
@click.option(
    "--out",
    default=Path("chaos.json"),
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The report as JSON.",
)
@click.option("--only", metavar="FAULT,…", help="Only these, each once, whatever the time.")
@click.option("--mixed", is_flag=True, help="Only faults drawn at random, also two at a time.")
@click.option("--list", "listing", is_flag=True, help="List the faults.")
def chaos(
    seconds: float, seed: int, out: Path, only: str | None, mixed: bool, listing: bool
) -> None:
    """Inject every fault into a running system, and count what is lost or doubled."""
    if listing:
        for fault in FAULTS.values():
            click.echo(f"{fault.name:<36} {fault.line}")
        return
    dice = Random(seed)
    plan = made(_chosen(only), seconds, dice, all_of_them=only is not None, mixed_only=mixed)
    if why := kafka_unavailable():
        click.echo(f"chaos: Apache Kafka cannot be started: {why}", err=True)
        sys.exit(2)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="spendstream-chaos-"))
    logging.basicConfig(
        filename=folder / "harness.log", level="INFO", format="%(asctime)s %(message)s"
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if plan.left_out:
        console.print(
            f"{seconds:g} s are not enough for all {len(FAULTS)} faults; the seed has chosen "
            f"{len(plan.singles)}. Left out: {', '.join(f.name for f in plan.left_out)}"
        )
    try:
        rounds, facts = _run(folder, seed, seconds, plan, dice, console)
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        sys.exit(130)
    except BaseException:  # noqa: BLE001 - whatever it is, it is not the product's
        console.print_exception()
        console.print(f"the suite itself failed; logs and data are in {folder}")
        sys.exit(2)
    report = document(rounds, seed, seconds, facts)
    out.write_text(json.dumps(report, indent=2, default=str) + "\n")
    show(Console(width=130), rounds)
    if not report["ok"]:
        console.print(f"NOT OK: logs and data are in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


def _chosen(only: str | None) -> list[Fault]:
    if only is None:
        return list(FAULTS.values())
    names = [name.strip() for name in only.split(",")]
    for name in names:
        if name not in FAULTS:
            raise click.UsageError(f"--only {name!r}: no such fault; --list names them all")
    return [FAULTS[name] for name in names]


def _run(
    folder: Path, seed: int, seconds: float, plan: Plan, dice: Random, console: Console
) -> tuple[list[Round], dict[str, Any]]:
    with receiving() as receiver:
        world = World(folder, seed, receiver)
        return asyncio.run(_play(world, seconds, plan, dice, console))


async def _play(
    world: World, seconds: float, plan: Plan, dice: Random, console: Console
) -> tuple[list[Round], dict[str, Any]]:
    began = time.monotonic()
    played: list[Round] = []

    def done(row: Round) -> None:
        played.append(row)
        recovery = "no recovery" if row.recovery is None else f"recovered in {row.recovery:.1f} s"
        console.print(
            f"{time.monotonic() - began:5.0f} s  {' + '.join(row.faults)}: {row.sent} events, "
            f"lost {row.lost}, counted twice {row.twice}, {recovery}, {_verdict(row)}"
        )
        for problem in row.problems:
            console.print(f"         {problem}", style="red")

    try:
        with console.status("starting three brokers, ClickHouse and the stages"):
            await world.start()
        rounds = Rounds(world)
        await rounds.open()
        console.print(f"{time.monotonic() - began:5.0f} s  everything runs")
        for fault in plan.singles:
            if _is_down(played):
                break
            done(await rounds.play([fault], dice))
        while (
            plan.mixed
            and not _is_down(played)
            and time.monotonic() - began < seconds - MIXED_SECONDS
        ):
            done(await rounds.play(drawn(list(FAULTS.values()), dice), dice, mixed=True))
    finally:
        await world.stop()
    return played, {"disk_full_by": world.disk.way, "folder": str(world.folder)}


def _verdict(row: Round) -> str:
    return "ok" if row.ok else "NOT OK"


def _is_down(played: Sequence[Round]) -> bool:
    """Nothing more is learnt from a system that has not recovered twice in a row."""
    return len(played) > 1 and all(row.recovery is None for row in played[-2:])


if __name__ == "__main__":
    chaos()
