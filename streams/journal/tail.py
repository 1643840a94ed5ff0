"""Following the spend journal: position by position, through the fence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.errors import SpendstreamError
from schemas.journal import Range, SourcePartition, decode_entry
from schemas.topics import JOURNAL
from streams.health import beat
from streams.journal.fence import Fence, Mark
from streams.kafka import consumer, end_offsets, stop_consumer
from streams.settings import Settings

log = logging.getLogger(__name__)

JOURNAL_PARTITION = TopicPartition(JOURNAL, 0)


class JournalTruncated(SpendstreamError):
    """Entries that are needed have been removed from the journal, and are not in ClickHouse."""


class JournalTail:
    """Follows the journal for a writer: which of its own ranges were accepted, what is next.

    `start` begins anew from given marks; `verdict` waits for one's own entry.
    """

    def __init__(self, settings: Settings, writer: str) -> None:
        self._settings = settings
        self._writer = writer
        self._fence = Fence()
        self._reached = -1
        self._verdicts: dict[int, tuple[Range, ...]] = {}
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self, marks: Mapping[SourcePartition, Mark], since: int) -> None:
        """Follow from after the oldest of what is known; returns at the journal's present end.

        Raises JournalTruncated where the entries from there on are no longer all there.
        """
        await self.stop()
        self._fence = Fence(marks, since=since)
        first = min([since, *(mark.position for mark in marks.values())]) + 1
        self._consumer = consumer(self._settings)
        await self._consumer.start()
        self._consumer.assign([JOURNAL_PARTITION])
        beginning = (await self._consumer.beginning_offsets([JOURNAL_PARTITION]))[JOURNAL_PARTITION]
        end = (await end_offsets(self._consumer, [JOURNAL_PARTITION]))[JOURNAL_PARTITION]
        if first < beginning or first > end:
            raise JournalTruncated(
                f"the journal holds entries {beginning} to {end - 1}; those from {first} on are "
                "needed to resume"
            )
        self._reached = first - 1
        self._consumer.seek(JOURNAL_PARTITION, first)
        self._task = asyncio.create_task(self._follow(self._consumer))
        await self._wait_for(end - 1)

    async def verdict(self, position: int) -> tuple[Range, ...]:
        """Those ranges of one's own entry at this position that were accepted."""
        await self._wait_for(position)
        # An entry that nobody can read has no writer, and is accepted by nobody.
        accepted = self._verdicts.get(position, ())
        # Older ones are copies whose acknowledgement was lost: nobody will ask for them.
        self._verdicts = {at: v for at, v in self._verdicts.items() if at > position}
        return accepted

    def next(self, partition: SourcePartition) -> int | None:
        """Offset at which the partition's next range must start; None while it has none."""
        return self._fence.next(partition)

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._consumer is not None:
            await stop_consumer(self._consumer)
            self._consumer = None
        self._verdicts.clear()

    async def _wait_for(self, position: int) -> None:
        async with self._progress:
            while self._reached < position and not (self._task is not None and self._task.done()):
                reached = self._reached
                await self._progress.wait()
                if self._reached > reached:
                    beat()  # a long journal is progress; waiting for what never comes is not
        if self._reached < position and self._task is not None:
            self._task.result()

    async def _follow(self, source: AIOKafkaConsumer) -> None:
        try:
            while True:
                batches = await source.getmany(timeout_ms=1000)
                for record in batches.get(JOURNAL_PARTITION, ()):
                    # With its rows: whether an entry can be read is part of whether it counts.
                    entry = decode_entry(record.headers, record.value)
                    accepted = self._fence.accepted(entry.ranges, record.offset)
                    if entry.writer == self._writer:
                        self._verdicts[record.offset] = accepted
                    self._reached = record.offset
                async with self._progress:
                    self._progress.notify_all()
        finally:
            # Whoever waits must learn that nobody follows any more.
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, self._wake())

    async def _wake(self) -> None:
        async with self._progress:
            self._progress.notify_all()
