"""What is measured, in which order, and on what."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.broker import Rate, fill, read_with_getmany
from benchmarks.events import PARTITIONS, Usage
from benchmarks.faust_run import read_with_faust
from benchmarks.meter import read_with_meter
from benchmarks.pipeline import run_pipeline, write_budgets
from benchmarks.stages import decode_rate, emit_rate, rating_rate, rollup_rate
from benchmarks.web import posted_rate
from streams.rating.pricebook import PriceBook
from streams.stack.ports import Ports
from streams.stack.stack import Stack

NAMES = ("getmany", "meter", "faust", "pipeline", "decode", "rate", "rollup", "emit", "web")
ON_ONE_BACKLOG = frozenset({"getmany", "meter", "faust", "emit"})

Note = Callable[[str, Rate], None]
Say = Callable[[str], None]


async def measure_once(
    events: Sequence[Usage], faust_events: int, names: frozenset[str], note: Note, say: Say
) -> None:
    """One round of every measurement in ``names``; repeats of a round are thereby interleaved."""
    _measure_steps(events, names, note, say)
    if names & ON_ONE_BACKLOG:
        with folder() as place:
            await _measure_readers(place, events, faust_events, names, note, say)
    if "web" in names:
        with folder() as place:
            await _measure_web(place, events, note, say)
    if "pipeline" in names:
        with folder() as place:
            await _measure_pipeline(place, events, note, say)


def _measure_steps(events: Sequence[Usage], names: frozenset[str], note: Note, say: Say) -> None:
    say("decoding, rating and rolling up, without a broker")
    book = PriceBook.load(None)
    if "decode" in names:
        note("decode", decode_rate(events))
    if "rate" in names:
        note("rate", rating_rate(events, book))
    if "rollup" in names:
        note("rollup", rollup_rate(events, book))


async def _measure_readers(
    folder: Path,
    events: Sequence[Usage],
    faust_events: int,
    names: frozenset[str],
    note: Note,
    say: Say,
) -> None:
    stack = Stack(folder, Ports.free(), usage_partitions=PARTITIONS)
    try:
        say("filling the broker")
        await stack.start_stores()
        count = await fill(stack.settings, events)
        if "getmany" in names:
            say("aiokafka getmany alone")
            note("getmany", await read_with_getmany(stack.settings, count))
        if "meter" in names:
            say("the meter")
            note("meter", await read_with_meter(stack, count))
        if "faust" in names:
            say("the idiomatic faust agent")
            note("faust", await read_with_faust(stack.settings, min(count, faust_events), folder))
        if "emit" in names:
            say("the client")
            note("emit", await asyncio.to_thread(emit_rate, stack.settings.kafka))
    finally:
        await stack.stop()


async def _measure_web(folder: Path, events: Sequence[Usage], note: Note, say: Say) -> None:
    stack = Stack(folder, Ports.free(), usage_partitions=PARTITIONS)
    try:
        say("the web stage")
        await stack.start_stores()
        note("web", await posted_rate(stack, events))
    finally:
        await stack.stop()


async def _measure_pipeline(folder: Path, events: Sequence[Usage], note: Note, say: Say) -> None:
    budgets = write_budgets(folder / "budgets.yaml")
    stack = Stack(folder, Ports.free(), usage_partitions=PARTITIONS, budgets=budgets)
    try:
        say("the whole pipeline")
        await stack.start_stores()
        note("pipeline", await run_pipeline(stack, events))
    finally:
        await stack.stop()


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary one."""
    # A process that is being stopped may still write its log.
    with tempfile.TemporaryDirectory(prefix="spendstream-", ignore_cleanup_errors=True) as name:
        yield Path(name)
