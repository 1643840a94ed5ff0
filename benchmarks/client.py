"""What one call of the client's `emit` takes from its caller, in memory and with the spool.

Measured twice: in bursts of calls back to back, and evenly spaced, where each call finds the caches
cold and wakes the delivery. The events go to the embedded broker meanwhile. The comparison is the
least that anybody would do: `json.dumps` and `queue.put`, with an id and a time, no check and no
delivery.
"""

from __future__ import annotations

import asyncio
import json
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import uuid4

import spendstream
from rich.console import Console
from rich.table import Table

from benchmarks.events import PARTITIONS
from streams.stack.ports import Ports
from streams.stack.stack import Stack

CLIENT = "client"
BURSTS = 20
BURST = 100
"""Calls back to back; the events of a burst are delivered before the next one."""
SPACED = 1_000
PER_SECOND = 500
TARGET_MICROSECONDS = 50.0
"""For the median of a call in a burst."""

WHAT = {
    "memory": "emit, events wait in memory",
    "spool": "emit, events wait in the spool on disk",
    "bare": "json.dumps and queue.put, for comparison",
}

Emit = Callable[..., object]
Times = dict[str, dict[str, list[float]]]
"""Microseconds of every call, by way and by how the calls follow each other."""
BURSTS_OF_CALLS, SPACED_CALLS = "in_bursts", "evenly_spaced"


@dataclass(frozen=True, slots=True)
class _Way:
    emit: Emit
    settle: Callable[[], object]


async def measure_client(folder: Path, repeat: int, say: Callable[[str], None]) -> Times:
    """Rounds of every way, interleaved. Raises AssertionError unless every event arrived."""
    stack = Stack(folder, Ports.free(), usage_partitions=PARTITIONS)
    try:
        say("starting the broker")
        await stack.start_stores()
        return await asyncio.to_thread(_measure, stack.settings.kafka, folder, repeat, say)
    finally:
        await stack.stop()


def client_figures(times: Times) -> dict[str, Any]:
    """Median and 99th percentile of each way, microseconds."""
    figures = {
        way: {
            how: {"p50": round(median(taken), 1), "p99": round(_p99(taken), 1), "calls": len(taken)}
            for how, taken in by_how.items()
        }
        for way, by_how in times.items()
    }
    highest = max(figures[way][BURSTS_OF_CALLS]["p50"] for way in ("memory", "spool"))
    return {
        "microseconds": figures,
        "spaced_per_second": PER_SECOND,
        "target": TARGET_MICROSECONDS,
        "met": highest < TARGET_MICROSECONDS,
    }


def show_client(console: Console, times: Times) -> None:
    """Print these figures."""
    figures = client_figures(times)
    table = Table(title=f"microseconds of one call: in bursts of {BURST}, and at {PER_SECOND} /s")
    for heading in ("", "p50", "p99", "p50 spaced", "p99 spaced", "what"):
        table.add_column(heading, justify="left" if heading in ("", "what") else "right")
    for way, found in figures["microseconds"].items():
        values = [f"{found[how][name]:g}" for how in found for name in ("p50", "p99")]
        table.add_row(way, *values, WHAT[way])
    console.print(table)
    met = "[green]yes[/]" if figures["met"] else "[red]no[/]"
    console.print(f"emit under {TARGET_MICROSECONDS:g} µs (p50 in bursts), memory and spool: {met}")


def _measure(kafka: str, folder: Path, repeat: int, say: Callable[[str], None]) -> Times:
    times: Times = {way: {BURSTS_OF_CALLS: [], SPACED_CALLS: []} for way in WHAT}
    with _emitter(kafka, None) as memory, _emitter(kafka, folder / "spool") as spool:
        ways = {"memory": memory, "spool": spool, "bare": _bare()}
        for number in range(repeat):
            for name, way in ways.items():
                say(f"round {number + 1} of {repeat}: {WHAT[name]}")
                times[name][BURSTS_OF_CALLS] += _in_bursts(way)
                times[name][SPACED_CALLS] += _evenly_spaced(way)
    return times


def _in_bursts(way: _Way) -> list[float]:
    taken = []
    for _ in range(BURSTS):
        taken += [_timed(way.emit, number) for number in range(BURST)]
        way.settle()
    return taken


def _evenly_spaced(way: _Way) -> list[float]:
    taken = []
    due = time.perf_counter()
    for number in range(SPACED):
        due += 1 / PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        taken.append(_timed(way.emit, number))
    way.settle()
    return taken


def _timed(emit: Emit, number: int) -> float:
    """Microseconds of one call."""
    started = time.perf_counter_ns()
    emit(
        provider="openai",
        model="gpt-4o",
        team="search",
        application="assistant",
        user="user-001",
        input_tokens=1200,
        output_tokens=number,
    )
    return (time.perf_counter_ns() - started) / 1000


@contextmanager
def _emitter(kafka: str, spool: Path | None) -> Iterator[_Way]:
    emitter = spendstream.Emitter(f"kafka://{kafka}", spool=spool)
    try:
        yield _Way(emitter.emit, lambda: emitter.flush(30))
    finally:
        stats = emitter.close()
        assert stats.emitted == stats.delivered, stats


def _bare() -> _Way:
    waiting: queue.Queue[str] = queue.Queue()

    def emit(**fields: Any) -> None:
        event = fields | {"event_id": uuid4().hex, "occurred_at": datetime.now(UTC).isoformat()}
        waiting.put(json.dumps(event))

    return _Way(emit, waiting.queue.clear)


def _p99(taken: Sequence[float]) -> float:
    return quantiles(taken, n=100)[98]
