"""The whole embedded stack on a backlog: broker, ClickHouse, meter, ledger, archive and guard.

The stages are up and idle, budgets and storm detectors loaded, when the backlog is let in: batched
beforehand, so that writing it costs the broker's time only. The clock runs from the first write
until everything is everywhere: each event in the ledger and in the archive, each journal entry
taken by the guard. Then the ledger and the archive are asked whether they hold every event.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.broker import Rate, fill
from benchmarks.events import TEAMS, Usage
from benchmarks.meter import PATIENCE_SECONDS, TooSlow, when_logged
from schemas.topics import JOURNAL, USAGE
from sinks.archive import Archive
from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.kafka import cluster_id
from streams.stack.backlog import backlog, guard_state
from streams.stack.stack import Stack
from streams.stores import clickhouse

LOOK_SECONDS = 0.2
"""Each look costs the stack a query: what it adds to the time is less than what more would take."""
READY = {
    "meter": "metering from",
    "ledger": "landing the journal from",
    "archive": "archiving from",
}
"""What a stage logs when it is ready to read."""


def write_budgets(path: Path) -> Path:
    """A budget with three thresholds for every team: some are crossed on the way."""
    lines = [f"  - {{team: {team}, monthly_usd: 400, thresholds: [50, 80, 100]}}" for team in TEAMS]
    path.write_text("\n".join(["timezone: UTC", "budgets:", *lines, ""]))
    return path


async def run_pipeline(stack: Stack, events: Sequence[Usage]) -> Rate:
    """How long the stack, whose stores are up, takes from the first write to the last effect."""
    await stack.start_stages()
    for name, words in READY.items():
        await when_logged(stack.folder / "logs" / f"{name}.log", words)
    cluster = await cluster_id(stack.settings)
    connection = clickhouse(stack.settings)
    try:
        started = time.perf_counter()
        count = await fill(stack.settings, events)
        await _until_everywhere(stack, connection, cluster, count)
        seconds = time.perf_counter() - started
        left = await backlog(stack.settings)
        in_ledger, in_archive = await asyncio.to_thread(_counted, connection)
    finally:
        connection.close()
    if not left.empty or in_ledger != count or in_archive != count:
        raise TooSlow(
            f"{count} events were written; the ledger has {in_ledger}, the archive {in_archive}, "
            f"{left}"
        )
    return Rate(count, seconds)


async def _until_everywhere(stack: Stack, connection: ClickHouse, cluster: str, count: int) -> None:
    ledger = Ledger(connection, f"{cluster}/{JOURNAL}")
    archive = Archive(connection, f"{cluster}/{USAGE}")
    deadline = time.monotonic() + PATIENCE_SECONDS
    metered = archived = guarded = -1
    while time.monotonic() < deadline:
        archived = sum((await asyncio.to_thread(archive.next_offsets)).values())
        if archived == count:
            progress = await asyncio.to_thread(ledger.progress)
            metered = sum(following for following, _ in progress.marks.values())
            state = await guard_state(stack.settings)
            guarded = int(state["position"]) if state else -1
            if metered == count and guarded >= progress.position:
                return
        await asyncio.sleep(LOOK_SECONDS)
    raise TooSlow(f"of {count}: {metered} in the ledger, {archived} archived, guard at {guarded}")


def _counted(connection: ClickHouse) -> tuple[int, int]:
    ((in_ledger,),) = connection.query("SELECT sum(calls) FROM spend")
    ((in_archive,),) = connection.query("SELECT uniqExact(event_id) FROM usage_events")
    return int(in_ledger), int(in_archive)
