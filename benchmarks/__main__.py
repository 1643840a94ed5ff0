"""`python -m benchmarks --out bench.json`: measure throughput side by side in one run.

Rounds are interleaved (each measures everything once), because a machine has better and worse
minutes. What each figure covers stands in the module that measures it.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks.broker import Rate
from benchmarks.client import CLIENT, client_figures, measure_client, show_client
from benchmarks.events import usage
from benchmarks.quota import QUOTA, measure_quota
from benchmarks.report import as_json, quota_figures, show, show_quota
from benchmarks.rollups import ROLLUPS, measure_rollups, rollup_figures, show_rollups
from benchmarks.run import NAMES, folder, measure_once


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write JSON here.")
@click.option("--events", default=800_000, show_default=True, type=click.IntRange(min=1000))
@click.option("--faust-events", default=10_000, show_default=True, type=click.IntRange(min=1000))
@click.option("--repeat", default=3, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--only",
    "only",
    multiple=True,
    type=click.Choice([*NAMES, QUOTA, CLIENT, ROLLUPS]),
    help="May be repeated.",
)
def main(
    out: Path | None, events: int, faust_events: int, repeat: int, only: tuple[str, ...]
) -> None:
    """Measure getmany, meter, faust agent and pipeline on the same events; how late it is known
    that a budget is used up; what a call of the client takes; and how long questions over the
    rollups of 100 million calls take. Example:

    python -m benchmarks --only getmany --only meter --repeat 1
    """
    console = Console(highlight=False)
    names = frozenset(only or (*NAMES, QUOTA, CLIENT, ROLLUPS))
    runs: dict[str, list[Rate]] = {name: [] for name in NAMES if name in names}

    def note(name: str, rate: Rate) -> None:
        runs[name].append(rate)
        console.print(f"  {name:<9} {rate.per_second:>10,.0f} /s  ({rate.seconds:.2f} s)")

    async def rounds() -> None:
        for number in range(repeat):
            console.print(f"round {number + 1} of {repeat}")
            await measure_once(backlog, faust_events, names, note, status.update)

    figures: dict[str, Any] = {}
    if runs:
        with console.status("encoding events") as status:
            backlog = list(usage(events))
            asyncio.run(rounds())
        show(console, runs)
        figures |= as_json(runs, repeat)
    if QUOTA in names:
        with console.status("using up budgets"), folder() as place:
            times = asyncio.run(measure_quota(place))
        show_quota(console, times)
        figures[QUOTA] = quota_figures(times)
    if CLIENT in names:
        with console.status("measuring the client") as status, folder() as place:
            calls = asyncio.run(measure_client(place, repeat, status.update))
        show_client(console, calls)
        figures[CLIENT] = client_figures(calls)
    if ROLLUPS in names:
        with console.status("asking the rollups"), folder() as place:
            asked = asyncio.run(measure_rollups(place))
        show_rollups(console, asked)
        figures[ROLLUPS] = rollup_figures(asked)
    if out is not None:
        out.write_text(json.dumps(figures, indent=2) + "\n")
        console.print(f"written to {out}")


if __name__ == "__main__":
    main()
