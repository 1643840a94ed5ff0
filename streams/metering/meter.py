"""The meter's loop: read a micro-batch, meter it, append it to the journal, see it accepted.

Nothing here decides what counts; that is the fence's, by what stands in the journal. The loop only
has to begin at the right offset (`_recover`), and to begin again when somebody else was faster.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import uuid
from collections.abc import Sequence
from typing import Any

import polars as pl
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition

from schemas.errors import Refusal
from schemas.journal import SourcePartition
from schemas.topics import JOURNAL, USAGE
from schemas.wire import SchemaLookup
from sinks.archive import Archive
from sinks.ledger import Ledger
from streams.health import Status, beat, working
from streams.journal.tail import JournalTail
from streams.kafka import cluster_id, committed, producer, stop_consumer
from streams.lag import behind
from streams.metering.appender import Appender, Overtaken
from streams.metering.batch import Metered, Span, meter_batch
from streams.metering.collect import Collector, Limits
from streams.metering.commits import Commits
from streams.metering.dedupe import IdWindow
from streams.metering.events import decoded_records
from streams.metering.position import known_positions
from streams.metering.windows import LogWentBack, rebuilt_windows
from streams.metrics import OVERTAKEN
from streams.rating.pricebook import PriceBook
from streams.retention import lost_to_retention
from streams.settings import Settings
from streams.stage import PATIENCE, persist, sleep_unless
from streams.stores import clickhouse
from streams.usage_consumer import Record, usage_consumer
from streams.work import Work

log = logging.getLogger(__name__)

GROUP = "spendstream-meter"


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
        self._positioned = False
        self._overtaken = 0
        self._random = random.Random()  # noqa: S311 - jitter
        self._collecting: asyncio.Task[Sequence[Span]] | None = None
        self._appending: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer = None  # until `run` knows the broker

    async def run(self, stop: asyncio.Event) -> None:
        """Meter until told to stop. Raises LogWentBack where the usage topic did."""
        with working("metering") as turn:
            cluster = await persist(
                "reaching the broker", lambda: cluster_id(self._settings), stop, abandon=True
            )
            self._source, self._journal = f"{cluster}/{USAGE}", f"{cluster}/{JOURNAL}"
            sender = producer(self._settings)
            self._set_up(usage_consumer(self._settings, self._group), sender)
            try:
                await persist("starting the producer", sender.start, stop, abandon=True)
                await persist("joining the meters", self._consumer.start, stop, abandon=True)
                self._consumer.subscribe([USAGE], listener=self)
                await self._loop(turn, stop)
                await self._commits.commit(force=True)
            finally:
                await self._drop(self._collecting)
                await self._drop(self._appending)
                await self._tail.stop()
                await stop_consumer(self._consumer)
                await sender.stop()

    def _set_up(self, consumer: AIOKafkaConsumer, sender: AIOKafkaProducer) -> None:
        settings = self._settings
        self._collector = Collector(
            consumer,
            Limits(settings.batch_linger_ms / 1000, settings.batch_events, settings.batch_bytes),
        )
        self._commits = Commits(consumer)
        self._appender = Appender(
            sender,
            self._tail,
            self._commits,
            writer=self._writer,
            source=self._source,
            journal=self._journal,
        )
        self._consumer = consumer

    def status(self) -> Status:
        """Ready while it meters, or waits for partitions."""
        if self._consumer is None:
            return Status(False, "reaching the broker")
        due = {}
        for partition, read in tuple(self._next.items()):
            appended = self._tail.next(SourcePartition(self._source, partition))
            due[TopicPartition(USAGE, partition)] = read if appended is None else appended
        doing = "metering" if due else "on standby"
        return Status(
            self._positioned,
            doing if self._positioned else "finding where to resume",
            behind(self._consumer, due),
            {"records": self._collector.held, "dead_letters": self._appender.unburied},
        )

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Nothing to save: progress is in the journal."""
        self._positioned = False

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Hold the new partitions back until it is known where to begin."""
        self._consumer.pause(*assigned)
        self._windows, self._next = {}, {}
        self._commits.forget()
        self._positioned = False
        log.info("assigned partitions %s", sorted(tp.partition for tp in assigned))

    async def _loop(self, turn: Work, stop: asyncio.Event) -> None:
        """Three things overlap: collecting a batch, metering the one before, appending the one
        before that. Entries are appended one at a time, each after the verdict on the last."""
        while True:
            turn.begin()
            if not self._positioned:
                await self._begin_again(stop)
            spans = await (self._collecting or self._collect(stop))
            self._collecting = None
            if not self._positioned:
                continue
            if not spans:
                await self._appended()
                await self._commits.commit()
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
                oldest = min(span.records[0].timestamp for span in spans)
                self._appending = asyncio.create_task(self._appender.append(metered, oldest, stop))
            await self._commits.commit()

    async def _begin_again(self, stop: asyncio.Event) -> None:
        await self._drop(self._collecting)
        self._collecting = None
        await self._appended()
        if self._overtaken > 1:
            # Somebody meters the same partitions: taking turns with it as fast as can be helps
            # neither.
            await sleep_unless(stop, PATIENCE.delay(self._overtaken - 1, self._random))
        await persist("finding where to resume", self._recover, stop, abandon=True)

    async def _appended(self) -> None:
        """Wait for the append under way, if any."""
        appending, self._appending = self._appending, None
        if appending is None:
            return
        try:
            await appending
        except Overtaken as overtaken:
            log.warning("%s; beginning again", overtaken)
            OVERTAKEN.inc()
            self._overtaken += 1
            self._positioned = False
        else:
            self._overtaken = 0

    async def _drop(self, task: asyncio.Task[Any] | None) -> None:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _metered(self, spans: Sequence[Span], windows: dict[int, IdWindow]) -> Metered:
        return await asyncio.to_thread(
            meter_batch, spans, windows, self._book, self._lookup, self._settings.max_entry_bytes
        )

    async def _collect(self, stop: asyncio.Event) -> Sequence[Span]:
        """The next micro-batch, from the offsets that are due."""
        collected = await self._collector.collect(stop)
        if not self._positioned:
            return []
        due = self._next  # a rebalance puts a new one in its place
        return [await self._span(p, due[p], r, stop) for p, r in sorted(collected.items())]

    async def _span(
        self, partition: int, start: int, records: Sequence[Record], stop: asyncio.Event
    ) -> Span:
        first = records[0].offset
        tp = TopicPartition(USAGE, partition)
        if first < start:
            raise LogWentBack(tp, start, first)
        lost = await lost_to_retention(self._consumer, tp, start, first, stop)
        return Span(self._source, partition, start, records, lost)

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
                self._read,
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

    def _read(self, records: Sequence[Record]) -> tuple[pl.DataFrame, dict[int, Refusal]]:
        """For the windows, which may take long: each batch of it is a sign of life."""
        beat()
        return decoded_records(records, self._book, self._lookup)


def _following(span: Span) -> int:
    return int(span.records[-1].offset) + 1
