"""Appending to the journal: dead letters, then entry by entry, each after the verdict on the last.

What is counted is what the journal's readers accept, so it is counted here, after the verdict.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
from aiokafka import AIOKafkaProducer

from schemas.journal import Range, entry_headers
from schemas.topics import JOURNAL
from streams import metrics
from streams.health import doing, done, working
from streams.journal.tail import JournalTail
from streams.kafka import Committed
from streams.metering.batch import DeadLetter, Draft, Metered
from streams.metering.commits import Commits
from streams.metering.dead_letters import bury_all
from streams.stage import persist

CLOSED_AFTER = timedelta(days=1)
"""A month is closed so long after its end; the view `restated_spend` says the same."""


class Overtaken(Exception):
    """A range of ours was not the next one: somebody else has metered the partition."""

    def __init__(self, partitions: Iterable[int]) -> None:
        self.partitions = sorted(partitions)
        super().__init__(f"another meter was faster on partitions {self.partitions}")


class Appender:
    """Appends what was metered from ``source`` to ``journal`` as ``writer``, in order."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        tail: JournalTail,
        commits: Commits,
        *,
        writer: str,
        source: str,
        journal: str,
    ) -> None:
        self._producer = producer
        self._tail = tail
        self._commits = commits
        self._writer = writer
        self._source = source
        self._journal = journal
        self.unburied = 0
        """Dead letters that are not written yet."""

    async def append(self, metered: Metered, oldest: int, stop: asyncio.Event) -> None:
        """Append one micro-batch; ``oldest``: when its oldest record was made, in milliseconds.

        Returns when every entry is accepted. Raises Overtaken where one is not.
        """
        with working("appending") as entry:
            if metered.dead_letters:
                await self._bury(metered.dead_letters, stop)
            for draft in metered.drafts:
                entry.begin()
                await self._append(draft, stop)
        if oldest >= 0:  # below zero: the record has no time
            metrics.APPEND_LATENCY.observe(max(0.0, time.time() - oldest / 1000))

    async def _bury(self, letters: Sequence[DeadLetter], stop: asyncio.Event) -> None:
        """First, so that no entry covers an event that is nowhere."""

        async def bury() -> None:
            await bury_all(self._producer, letters, self._source)

        self.unburied = len(letters)
        try:
            await persist("writing dead letters", bury, stop)
        finally:
            self.unburied = 0
        for code, count in Counter(letter.refusal.code for letter in letters).items():
            metrics.EVENTS_REFUSED.labels(code).inc(count)

    async def _append(self, draft: Draft, stop: asyncio.Event) -> None:
        async def send() -> int:
            sent = await self._producer.send_and_wait(
                JOURNAL,
                draft.payload,
                partition=0,
                headers=entry_headers(self._writer, draft.ranges),
            )
            return int(sent.offset)

        position = await persist("appending to the journal", send, stop)
        # Part of the guarantee: the next entry is not sent before this one's verdict is known. A
        # partition's first two entries in the wrong order would lose the first for good.
        with doing(f"waiting for the verdict on entry {position}"):
            accepted = await self._tail.verdict(position)
        for covered in accepted:
            reached = Committed(covered.through + 1, self._journal, position)
            self._commits.note(covered.partition, reached)
        _count(accepted, draft.rows)
        if len(accepted) != len(draft.ranges):
            raise Overtaken({r.partition for r in draft.ranges} - {r.partition for r in accepted})
        done("append")


def _count(accepted: Collection[Range], rows: pa.Table) -> None:
    partitions = {covered.partition for covered in accepted}
    metrics.EVENTS_LATE.inc(late_events(rows, partitions, datetime.now(UTC)))
    metrics.EVENTS_METERED.inc(sum(covered.events for covered in accepted))
    metrics.EVENTS_UNPRICED.inc(sum(covered.unpriced for covered in accepted))
    metrics.EVENTS_DUPLICATE.inc(sum(covered.duplicates for covered in accepted))
    metrics.EVENTS_CONFLICTING.inc(sum(covered.conflicts for covered in accepted))
    metrics.EVENTS_LOST.inc(sum(covered.lost for covered in accepted))


def late_events(rows: pa.Table, partitions: Collection[int], appended: datetime) -> int:
    """Events in an entry's rows (`ROW_SCHEMA`) whose month (UTC) was closed by then."""
    open_since = (appended - CLOSED_AFTER).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    late = pl.DataFrame(rows.select(["partition", "minute", "calls"])).filter(
        pl.col("minute") < open_since, pl.col("partition").is_in(list(partitions))
    )
    return int(late["calls"].abs().sum())
