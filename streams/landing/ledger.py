"""The ledger sink: the spend journal through the fence into ClickHouse, one entry at a time.

The consumer group only elects who is active. Where to resume is asked of ClickHouse, which is where
the progress is; two active sinks write the same rows under the same tokens.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.structs import ConsumerRecord

from schemas.journal import decode_entry
from schemas.topics import JOURNAL
from sinks.ledger import Ledger
from streams.health import Status, done, working
from streams.hints import commit_hint
from streams.journal.fence import Fence, Mark
from streams.journal.tail import JOURNAL_PARTITION, JournalTruncated
from streams.kafka import cluster_id, consumer, end_offsets, stop_consumer
from streams.lag import behind
from streams.metrics import FLUSH_LATENCY, RANGES_DROPPED
from streams.settings import Settings
from streams.stage import persist
from streams.stores import clickhouse
from streams.work import Work

log = logging.getLogger(__name__)

GROUP = "spendstream-ledger"
PATIENCE = 3
"""SQL may be a fraction of a second behind the alerts; an idle sink asks the broker less often."""
ENTRIES_PER_POLL = 20
"""An entry may hold a megabyte: what is fetched ahead stays bounded."""


class LedgerSink(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One sink process; active while it has the journal's partition, else on standby."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fence: Fence | None = None
        self._landed = 0
        self._consumer: AIOKafkaConsumer = None  # until `run` knows the broker
        self._ledger: Ledger

    async def run(self, stop: asyncio.Event) -> None:
        """Land entries until told to stop."""
        with working("landing") as turn:
            cluster = await persist(
                "reaching the broker", lambda: cluster_id(self._settings), stop, abandon=True
            )
            connection = clickhouse(self._settings)
            self._ledger = Ledger(connection, f"{cluster}/{JOURNAL}")
            self._consumer = consumer(self._settings, group=GROUP, patience=PATIENCE)
            try:
                await persist("joining the ledger sinks", self._consumer.start, stop, abandon=True)
                self._consumer.subscribe([JOURNAL], listener=self)
                await self._loop(turn, stop)
            finally:
                await stop_consumer(self._consumer)
                connection.close()

    async def _loop(self, turn: Work, stop: asyncio.Event) -> None:
        while not stop.is_set():
            turn.begin()
            if self._fence is None and JOURNAL_PARTITION in self._consumer.assignment():
                await persist("finding where to resume", self._resume, stop, abandon=True)
            batches = await self._consumer.getmany(timeout_ms=200, max_records=ENTRIES_PER_POLL)
            done("poll")
            if self._fence is not None:
                await self._land(batches.get(JOURNAL_PARTITION, ()), self._fence, turn, stop)

    def status(self) -> Status:
        """Ready while it lands entries, or stands by for the one that does."""
        if self._consumer is None:
            return Status(False, "reaching the broker")
        if JOURNAL_PARTITION not in self._consumer.assignment():
            return Status(True, "on standby")
        positioned = self._fence is not None
        return Status(
            positioned,
            "landing the journal" if positioned else "finding where to resume",
            behind(self._consumer, {JOURNAL_PARTITION: self._landed} if positioned else {}),
        )

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Another one is active now; what it writes is not known here."""
        self._fence = None

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Hold back until ClickHouse has said where to resume."""
        self._fence = None
        self._consumer.pause(*assigned)

    async def _resume(self) -> None:
        progress = await asyncio.to_thread(self._ledger.progress)
        if JOURNAL_PARTITION not in self._consumer.assignment():
            return
        first = progress.position + 1
        beginning = (await self._consumer.beginning_offsets([JOURNAL_PARTITION]))[JOURNAL_PARTITION]
        self._consumer.resume(JOURNAL_PARTITION)
        end = (await end_offsets(self._consumer, [JOURNAL_PARTITION]))[JOURNAL_PARTITION]
        if not beginning <= first <= end:
            raise JournalTruncated(
                f"the ledger needs the journal from entry {first} on; it holds {beginning} to "
                f"{end - 1}"
            )
        if JOURNAL_PARTITION not in self._consumer.assignment():
            return
        marks = {key: Mark(following, at) for key, (following, at) in progress.marks.items()}
        self._fence = Fence(marks, progress.adjusted, since=progress.position)
        self._landed = first
        self._consumer.seek(JOURNAL_PARTITION, first)
        log.info("landing the journal from entry %d", first)

    async def _land(
        self, records: Sequence[ConsumerRecord], fence: Fence, turn: Work, stop: asyncio.Event
    ) -> None:
        for record in records:
            turn.begin()
            entry = decode_entry(record.headers, record.value)
            counted = fence.counted(entry, record.offset)
            appended = datetime.fromtimestamp(record.timestamp / 1000, UTC)

            async def write() -> None:
                await asyncio.to_thread(
                    self._ledger.write,
                    record.offset,  # noqa: B023 - awaited in this turn
                    entry.ranges,  # noqa: B023
                    counted,  # noqa: B023
                    appended,  # noqa: B023
                )

            await persist(f"writing journal entry {record.offset}", write, stop)
            if self._fence is not fence:
                return
            self._landed = record.offset + 1
            done("flush")
            FLUSH_LATENCY.observe(max(0.0, time.time() - appended.timestamp()))
            RANGES_DROPPED.inc(len(entry.ranges) - len(counted.ranges))
        if records:
            await commit_hint(self._consumer, {JOURNAL_PARTITION: self._landed})
