"""The table of a run, and the same with more in it as JSON."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.rounds import Round
from tests.chaos.world import HORIZON, LINGER_MS, RATE, SESSION_MS
from tests.support.kafka_jars import jars

MIXED = "mixed"
LIBRARIES = ("spendstream-server", "aiokafka", "chdb", "faust-streaming", "polars")


def rows(rounds: Sequence[Round]) -> list[tuple[str, list[Round]]]:
    """Rounds by their row: one for each fault that was played alone, and one for the mixed run."""
    found: dict[str, list[Round]] = {}
    for played in rounds:
        found.setdefault(MIXED if played.mixed else played.faults[0], []).append(played)
    return list(found.items())


def show(console: Console, rounds: Sequence[Round]) -> None:
    """Print the table, and below it what differs."""
    table = Table(title="spendstream under faults", title_justify="left")
    table.add_column("fault")
    for column in ("times", "events sent", "lost", "counted twice", "drift", "recovery (s)"):
        table.add_column(column, justify="right")
    for name, played in rows(rounds):
        table.add_row(name, *_figures(played), style=None if all(r.ok for r in played) else "red")
    table.add_section()
    table.add_row("all", *_figures(rounds), style="bold")
    console.print(table)
    for one in rounds:
        for problem in one.problems:
            console.print(f"[red]{' + '.join(one.faults)}[/]: {problem}", highlight=False)
    if removed := sum(one.removed for one in rounds):
        console.print(
            f"removed by retention, counted as such by the ledger and alerted: {removed} events",
            highlight=False,
        )
    if again := sum(one.delivered_again for one in rounds):
        console.print(f"alerts delivered again, under the same id: {again}", highlight=False)


def _figures(played: Sequence[Round]) -> list[str]:
    recoveries = [r.recovery for r in played]
    calls = sum(r.drift.calls for r in played)
    cost = Decimal(sum(r.drift.cost for r in played)).scaleb(-12)
    return [
        str(sum(len(r.faults) for r in played)),
        f"{sum(r.sent for r in played):,}",
        str(sum(r.lost for r in played)),
        str(sum(r.twice for r in played)),
        f"{calls} calls, ${cost:f}" if calls or cost else "0",
        "never" if None in recoveries else f"{max(r for r in recoveries if r is not None):.1f}",
    ]


def document(
    rounds: Sequence[Round], seed: int, seconds: float, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """The report for machines. Costs are in pico-dollars, times in seconds."""
    return {
        "ok": bool(rounds) and all(played.ok for played in rounds),
        "seed": seed,
        "seconds": seconds,
        "lost": sum(played.lost for played in rounds),
        "counted_twice": sum(played.twice for played in rounds),
        "events_sent": sum(played.sent for played in rounds),
        "events_per_second": RATE,
        "session_timeout_ms": SESSION_MS,
        "batch_linger_ms": LINGER_MS,
        "dedupe_horizon": HORIZON,
        "versions": {
            "apache-kafka": _kafka_version(),
            "python": platform.python_version(),
            **{name: version(name) for name in LIBRARIES},
        },
        **facts,
        "rounds": [{"ok": played.ok, **asdict(played)} for played in rounds],
    }


def _kafka_version() -> str:
    names = [file.stem for file in jars().glob("kafka-clients-*.jar")]
    return names[0].removeprefix("kafka-clients-") if names else "unknown"
