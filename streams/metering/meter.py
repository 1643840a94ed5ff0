"""The meter's loop: read a micro-batch, meter it, append it to the journal, see it accepted.

Nothing here decides what counts; that is the fence's, by what stands in the journal. The loop only
has to begin at the right offset (`_recover`), and to begin again when somebody else was faster.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from schemas.journal import SourcePartition, entry_headers
from schemas.topics import JOURNAL, USAGE
from schemas.wire import SchemaLookup
from sinks.archive import Archive
from sinks.ledger import Ledger
from streams.journal.tail import JournalTail
from streams.kafka import Committed, cluster_id, committed, producer
from streams.metering.batch import Draft, Metered, Span, meter_batch
from streams.metering.dead_letters import bury_all
from streams.metering.dedupe import IdWindow
from streams.metering.events import decoded_records
from streams.metering.position import known_positions
from streams.metering.windows import LogWentBack, rebuilt_windows
from streams.rating.pricebook import PriceBook
from streams.settings import Settings
from streams.stage import persist
from streams.stores import clickhouse
from streams.usage_consumer import Record, usage_consumer

log = logging.getLogger(__name__)

GROUP = "spendstream-meter"
COMMIT_SECONDS = 1.0
"""Commits only shorten the next start; they are not what correctness rests on."""
IDLE_MS = 200
"""Longest wait for a first event before the loop looks at what else there is to do."""


class Overtaken(Exception):
    """A range of ours was not the next one: somebody else has metered the partition."""

    def __init__(self, partitions: Iterable[int]) -> None:
        self.partitions = sorted(partitions)
        super().__init__(f"another meter was faster on partitions {self.partitions}")


class Meter(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One meter process. `run` returns when ``stop`` is set, with everything read appended.

    Meters of one ``group`` share the partitions; two groups would both meter all of them, and the
    fence would still count each event once.
    """

    def __init__(
        self, settings: Settings, book: PriceBook, lookup: SchemaLookup, group: str = GROUP
    ) -> None:
        self._settings = settings
        self._group = group
        self._book = book
        self._lookup = lookup
        self._writer = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._tail = JournalTail(settings, self._writer)
        self._windows: dict[int, IdWindow] = {}
        self._next: dict[int, int] = {}
        self._pending: dict[int, Committed] = {}
        self._committed_at = time.monotonic()
        self._positioned = False
        self._collecting: asyncio.Task[Sequence[Span]] | None = None
        self._appending: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer
        self._producer: AIOKafkaProducer

    async def run(self, stop: asyncio.Event) -> None:
        """Meter until told to stop. Raises LogWentBack where the usage topic did."""
        cluster = await persist("reaching the broker", lambda: cluster_id(self._settings), stop)
        self._source, self._journal = f"{cluster}/{USAGE}", f"{cluster}/{JOURNAL}"
        self._consumer = usage_consumer(self._settings, self._group)
        self._producer = producer(self._settings)
        try:
            await persist("starting the producer", self._producer.start, stop)
            await persist("joining the meters", self._consumer.start, stop)
            self._consumer.subscribe([USAGE], listener=self)
            await self._loop(stop)
            await self._commit(force=True)
        finally:
            await self._drop(self._collecting)
            await self._drop(self._appending)
            await self._tail.stop()
            await self._consumer.stop()
            await self._producer.stop()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Nothing to save: progress is in the journal."""
        self._positioned = False

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Hold the new partitions back until it is known where to begin."""
        self._consumer.pause(*assigned)
        self._windows, self._next, self._pending = {}, {}, {}
        self._positioned = False
        log.info("assigned partitions %s", sorted(tp.partition for tp in assigned))

    async def _loop(self, stop: asyncio.Event) -> None:
        """Three things overlap: collecting a batch, metering the one before, appending the one
        before that. Entries are appended one at a time, each after the verdict on the last."""
        while True:
            if not self._positioned:
                await self._begin_again(stop)
            spans = await (self._collecting or self._collect(stop))
            self._collecting = None
            if not self._positioned:
                continue
            if not spans:
                await self._appended()
                await self._commit()
                if stop.is_set() and self._positioned:
                    return
                continue
            for span in spans:
                self._next[span.partition] = _following(span)
            self._collecting = asyncio.create_task(self._collect(stop))
            windows = {span.partition: self._windows[span.partition] for span in spans}
            metered = await persist("metering", lambda: self._metered(spans, windows), stop)  # noqa: B023 - awaited in this turn
            await self._appended()
            if self._positioned:
                self._appending = asyncio.create_task(self._append(metered, stop))
            await self._commit()

    async def _begin_again(self, stop: asyncio.Event) -> None:
        await self._drop(self._collecting)
        self._collecting = None
        await self._appended()
        await persist("finding where to resume", self._recover, stop)

    async def _appended(self) -> None:
        """Wait for the append under way, if any."""
        appending, self._appending = self._appending, None
        if appending is None:
            return
        try:
            await appending
        except Overtaken as overtaken:
            log.warning("%s; beginning again", overtaken)
            self._positioned = False

    async def _drop(self, task: asyncio.Task[Any] | None) -> None:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _metered(self, spans: Sequence[Span], windows: dict[int, IdWindow]) -> Metered:
        return await asyncio.to_thread(
            meter_batch, spans, windows, self._book, self._lookup, self._settings.max_entry_bytes
        )

    async def _collect(self, stop: asyncio.Event) -> Sequence[Span]:
        """The next micro-batch: closed by time or by number of events."""
        limit = self._settings.batch_events
        collected: dict[int, list[Record]] = {}
        count = 0
        closes_at: float | None = None
        while count < limit and not (stop.is_set() and closes_at is None):
            wait_ms = IDLE_MS if closes_at is None else int((closes_at - time.monotonic()) * 1000)
            if wait_ms <= 0:
                break
            got = await self._consumer.getmany(timeout_ms=wait_ms, max_records=limit - count)
            for tp, records in got.items():
                collected.setdefault(tp.partition, []).extend(records)
                count += len(records)
            if closes_at is None:
                if not got:
                    return []
                closes_at = time.monotonic() + self._settings.batch_linger_ms / 1000
        if not self._positioned:
            return []
        due = self._next  # a rebalance puts a new one in its place
        return [await self._span(p, due[p], r) for p, r in sorted(collected.items())]

    async def _span(self, partition: int, start: int, records: Sequence[Record]) -> Span:
        first = records[0].offset
        tp = TopicPartition(USAGE, partition)
        if first < start:
            raise LogWentBack(tp, start, first)
        lost = 0
        if first > start:
            # Retention may go on meanwhile: what was read was not lost.
            beginning = (await self._consumer.beginning_offsets([tp]))[tp]
            lost = max(0, min(beginning, first) - start)
            if lost:
                log.error("%s: %d events were removed by retention unread", tp, lost)
        return Span(self._source, partition, start, records, lost)

    async def _append(self, metered: Metered, stop: asyncio.Event) -> None:
        """Dead letters first, so that no entry covers an event that is nowhere."""

        async def bury() -> None:
            await bury_all(self._producer, metered.dead_letters, self._source)

        if metered.dead_letters:
            await persist("writing dead letters", bury, stop)
        for draft in metered.drafts:
            await self._append_draft(draft, stop)

    async def _append_draft(self, draft: Draft, stop: asyncio.Event) -> None:
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
        accepted = await self._tail.verdict(position)
        for covered in accepted:
            self._pending[covered.partition] = Committed(
                covered.through + 1, self._journal, position
            )
        if len(accepted) != len(draft.ranges):
            raise Overtaken({r.partition for r in draft.ranges} - {r.partition for r in accepted})

    async def _recover(self) -> None:
        """Find each partition's next offset and rebuild its id window, then let events flow."""
        partitions = sorted(tp.partition for tp in self._consumer.assignment())
        if not partitions:
            self._positioned = True
            return
        tps = {SourcePartition(self._source, p): TopicPartition(USAGE, p) for p in partitions}
        commits = await committed(self._settings, self._group, tps.values())
        connection = clickhouse(self._settings)
        try:
            known = await known_positions(
                {key: commits[tp] for key, tp in tps.items()},
                self._journal,
                Ledger(connection, self._journal).progress,
            )
            await self._tail.start(known.marks, known.since)
            beginnings = await self._consumer.beginning_offsets(tps.values())
            following = {
                key.partition: beginnings[tp] if (at := self._tail.next(key)) is None else at
                for key, tp in tps.items()
            }
            limit = self._settings.dedupe_horizon * max(1, len(partitions))
            windows = await rebuilt_windows(
                self._settings,
                USAGE,
                following,
                lambda records: decoded_records(records, self._book, self._lookup),
                lambda: Archive(connection, self._source).earlier_ids(limit),
            )
        finally:
            connection.close()
        if set(partitions) != {tp.partition for tp in self._consumer.assignment()}:
            return
        self._windows, self._next = windows, dict(following)
        for tp in tps.values():
            self._consumer.seek(tp, max(following[tp.partition], beginnings[tp]))
        self._consumer.resume(*tps.values())
        self._positioned = True
        log.info("metering from %s", following)

    async def _commit(self, *, force: bool = False) -> None:
        if not self._pending or not (
            force or time.monotonic() - self._committed_at > COMMIT_SECONDS
        ):
            return
        assigned = self._consumer.assignment()
        offsets = {
            tp: OffsetAndMetadata(c.offset, c.metadata())
            for p, c in self._pending.items()
            if (tp := TopicPartition(USAGE, p)) in assigned
        }
        self._committed_at = time.monotonic()
        try:
            await self._consumer.commit(offsets)
            self._pending = {}
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            log.info("commit left out, the journal knows better: %s", error)


def _following(span: Span) -> int:
    return int(span.records[-1].offset) + 1
