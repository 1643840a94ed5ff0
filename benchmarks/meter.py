"""The real meter process on a backlog.

The clock starts when the process says that it knows where to begin: it has joined its group, asked
ClickHouse and the journal, and fetches its first record right after. It stops at the time that the
journal's entry over the last event carries. So the start of the process and the joining are left
out, and everything else is in: reading, decoding, checking, rating, the id window, the rollup, the
appends and the wait for each one's verdict. Both times are this machine's clock.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from aiokafka.structs import ConsumerRecord

from benchmarks.broker import Rate
from schemas.journal import decode_entry
from streams.journal.tail import JOURNAL_PARTITION
from streams.kafka import consumer
from streams.stack.stack import Stack

BEGINS = "metering from"
"""What the meter logs when it knows where to begin."""
LOOK_SECONDS = 0.005
PATIENCE_SECONDS = 120.0


class TooSlow(Exception):
    """A measurement did not come to its end."""


async def read_with_meter(stack: Stack, count: int) -> Rate:
    """Start the meter on a topic of ``count`` events; how long it took from its first fetch."""
    await stack.start_stages("meter")
    try:
        started = await when_logged(stack.folder / "logs" / "meter.log", BEGINS)
        finished = await _when_covered(stack, count)
    finally:
        await stack.parts["meter"].stop()
    return Rate(count, finished - started)


async def when_logged(log_file: Path, words: str) -> float:
    """The time (seconds since 1970) at which a log was first seen to hold these words."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if _says(log_file, words):
            return time.time()
        await asyncio.sleep(LOOK_SECONDS)
    raise TooSlow(f"{log_file} never said {words!r}")


def _says(log_file: Path, words: str) -> bool:
    return log_file.exists() and words in log_file.read_text("utf-8", "replace")


async def _when_covered(stack: Stack, count: int) -> float:
    """The time of the entry with which the journal covers as many events."""
    reader = consumer(stack.settings)
    await reader.start()
    try:
        reader.assign([JOURNAL_PARTITION])
        covered = 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            batches = await reader.getmany(timeout_ms=500)
            for record in batches.get(JOURNAL_PARTITION, ()):
                covered += _offsets(record)
                if covered >= count:
                    return float(record.timestamp) / 1000
    finally:
        await reader.stop()
    raise TooSlow(f"the journal covers {covered} of {count} events")


def _offsets(record: ConsumerRecord) -> int:
    entry = decode_entry(record.headers, record.value)
    return sum(covered.through - covered.start + 1 for covered in entry.ranges)
