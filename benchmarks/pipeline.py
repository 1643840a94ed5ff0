"""The whole embedded stack on a backlog: broker, ClickHouse, meter, ledger, archive and guard.

The topic is filled before the stages start, as for the other measurements: what writes it is not
part of the product. The clock runs from the moment that the first stage says where it begins to
read, until everything is everywhere: each event in the ledger and in the archive, each journal
entry taken by the guard, with its budgets and storm detectors. The start of the processes is left
out, as far as it does not overlap with reading. Then the ledger and the archive are asked whether
they hold every event.
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

LOOK_SECONDS = 0.5
"""Each look costs the stack a query: what it adds to the time is less than what more would take."""
READERS = {"meter": "metering from", "archive": "archiving from"}
"""The stages that read usage, and what each logs when it begins."""


def write_budgets(path: Path) -> Path:
    """A budget with three thresholds for every team: some are crossed on the way."""
    lines = [f"  - {{name: {team}, where: {{team: {team}}}, limit: 400}}" for team in TEAMS]
    path.write_text("\n".join(["timezone: UTC", "budgets:", *lines, ""]))
    return path


async def run_pipeline(stack: Stack, events: Sequence[Usage]) -> Rate:
    """How long the stack, whose stores are up, takes from the first fetch to the last effect."""
    count = await fill(stack.settings, events)
    cluster = await cluster_id(stack.settings)
    connection = clickhouse(stack.settings)
    logs = stack.folder / "logs"
    watching = [
        asyncio.create_task(when_logged(logs / f"{name}.log", words))
        for name, words in READERS.items()
    ]
    try:
        # Whoever follows the journal waits for it.
        await stack.start_stages("ledger", "guard")
        await stack.start_stages(*READERS)
        await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
        started = time.perf_counter()
        await _until_everywhere(stack, connection, cluster, count)
        seconds = time.perf_counter() - started
        await asyncio.gather(*watching)
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
