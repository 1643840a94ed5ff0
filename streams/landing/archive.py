"""The archive sink: every usage event into ClickHouse, decoded and rated as the meter does it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

import polars as pl
import pyarrow as pa
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from schemas.batch import INDEX
from schemas.dead_letters import Letter, record_time
from schemas.errors import Refusal
from schemas.journal import SourcePartition
from schemas.topics import USAGE
from schemas.wire import SchemaLookup
from sinks.archive import Archive, Landed
from streams.health import Status, done, working
from streams.hints import commit_hint
from streams.kafka import cluster_id, stop_consumer
from streams.lag import behind
from streams.metering.collect import Collector, Limits
from streams.metering.events import decoded_records
from streams.metrics import FLUSH_LATENCY
from streams.rating.pricebook import PriceBook
from streams.retention import lost_to_retention
from streams.settings import Settings
from streams.stage import persist
from streams.stores import clickhouse
from streams.usage_consumer import Record, usage_consumer
from streams.work import Work

log = logging.getLogger(__name__)

GROUP = "spendstream-archive"
LINGER_SECONDS = 0.5
"""Few, large inserts are what ClickHouse likes; nobody waits for the archive."""


class ArchiveSink(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One archive process, for the partitions that its group gives it."""

    def __init__(self, settings: Settings, book: PriceBook, lookup: SchemaLookup) -> None:
        self._settings = settings
        self._book = book
        self._lookup = lookup
        self._next: dict[int, int] | None = None
        self._landed: dict[int, int] = {}
        self._rank = 0
        self._writing: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer = None  # until `run` knows the broker
        self._archive: Archive

    async def run(self, stop: asyncio.Event) -> None:
        """Land events until told to stop."""
        with working("archiving") as turn:
            cluster = await persist(
                "reaching the broker", lambda: cluster_id(self._settings), stop, abandon=True
            )
            connection = clickhouse(self._settings)
            self._archive = Archive(connection, f"{cluster}/{USAGE}")
            consumer = usage_consumer(self._settings, GROUP)
            limits = Limits(LINGER_SECONDS, self._settings.batch_events, self._settings.batch_bytes)
            self._collector = Collector(consumer, limits)
            self._consumer = consumer
            try:
                await persist("joining the archive sinks", consumer.start, stop, abandon=True)
                consumer.subscribe([USAGE], listener=self)
                await self._loop(turn, stop)
            finally:
                await stop_consumer(consumer)
                connection.close()

    async def _loop(self, turn: Work, stop: asyncio.Event) -> None:
        while not stop.is_set():
            turn.begin()
            if self._next is None and self._consumer.assignment():
                await persist("finding where to resume", self._resume, stop, abandon=True)
            collected = await self._collector.collect(stop)
            following = self._next
            if collected and following is not None:
                await self._land(collected, following, stop)
        await self._written()

    def status(self) -> Status:
        """Ready while it archives, or waits for partitions."""
        if self._consumer is None:
            return Status(False, "reaching the broker")
        positioned, assigned = self._next is not None, self._consumer.assignment()
        due = {TopicPartition(USAGE, p): n for p, n in tuple(self._landed.items())}
        doing = "archiving" if positioned else "finding where to resume"
        return Status(
            positioned or not assigned,
            doing if assigned else "on standby",
            behind(self._consumer, due),
            {"records": self._collector.held},
        )

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Another one has them now; what it writes is not known here."""
        self._next = None

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Hold back until ClickHouse has said where to resume."""
        self._next, self._landed = None, {}
        self._consumer.pause(*assigned)

    async def _resume(self) -> None:
        await self._written()
        self._rank = await asyncio.to_thread(self._archive.register_source)
        landed = await asyncio.to_thread(self._archive.next_offsets)
        assigned = self._consumer.assignment()
        beginnings = await self._consumer.beginning_offsets(assigned)
        following = {tp.partition: landed.get(tp.partition, beginnings[tp]) for tp in assigned}
        if assigned != self._consumer.assignment():
            return
        for tp in assigned:
            self._consumer.seek(tp, max(following[tp.partition], beginnings[tp]))
        self._consumer.resume(*assigned)
        self._next, self._landed = following, dict(following)
        log.info("archiving from %s", following)

    async def _land(
        self,
        collected: dict[int, list[Record]],
        following: dict[int, int],
        stop: asyncio.Event,
    ) -> None:
        """Decode a batch while the one before is being inserted; then insert it."""
        spans = [
            await self._span(p, following[p], records, stop)
            for p, records in sorted(collected.items())
        ]
        records = [record for _, part in sorted(collected.items()) for record in part]
        landing = await persist("decoding", lambda: asyncio.to_thread(self._decoded, records), stop)
        await self._written()
        if self._next is not following:
            return
        for span in spans:
            following[span.key.partition] = span.through + 1
        oldest = min(part[0].timestamp for part in collected.values())
        self._writing = asyncio.create_task(self._write(*landing, spans, oldest, stop))

    async def _span(
        self, partition: int, due: int, records: Sequence[Record], stop: asyncio.Event
    ) -> Landed:
        tp = TopicPartition(USAGE, partition)
        lost = await lost_to_retention(self._consumer, tp, due, records[0].offset, stop)
        key = SourcePartition(self._archive.source, partition)
        return Landed(key, due, records[-1].offset, lost)

    def _decoded(self, records: Sequence[Record]) -> tuple[pa.Table, list[Letter]]:
        events, refusals = decoded_records(records, self._book, self._lookup)
        return archive_rows(events), refused_letters(self._archive.source, records, refusals)

    async def _write(
        self,
        events: pa.Table,
        refused: Sequence[Letter],
        spans: Sequence[Landed],
        oldest: int,
        stop: asyncio.Event,
    ) -> None:
        with working("flushing"):
            await persist(
                "writing the archive",
                lambda: asyncio.to_thread(self._archive.write, events, spans, self._rank, refused),
                stop,
            )
            done("flush")
            if oldest >= 0:  # below zero: the record has no time
                FLUSH_LATENCY.observe(max(0.0, time.time() - oldest / 1000))
            following = {span.key.partition: span.through + 1 for span in spans}
            self._landed.update(following)
            offsets = {TopicPartition(USAGE, p): n for p, n in following.items()}
            await commit_hint(self._consumer, offsets)

    async def _written(self) -> None:
        """Wait for the insert under way, if any: a partition is written in order."""
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing


def archive_rows(events: pl.DataFrame) -> pa.Table:
    """Rated events as rows of `usage_events`.

    A column without any value is left out: null is the table's default, and most events leave most
    fields out. A map is never null there, so no tags is empty.
    """
    unused = [name for name in events.columns if events[name].null_count() == events.height]
    rows = events.drop(INDEX, *unused).to_arrow()
    position = rows.schema.get_field_index("tags")
    if position >= 0 and (tags := rows.column(position)).null_count:
        empty = pa.scalar([], type=tags.type)
        rows = rows.set_column(position, "tags", pa.compute.fill_null(tags, empty))
    return rows


def refused_letters(
    source: str, records: Sequence[Record], refusals: Mapping[int, Refusal]
) -> list[Letter]:
    """Refused records as letters; ``refusals`` by position in ``records``."""
    return [
        Letter(
            source=source,
            partition=records[index].partition,
            offset=records[index].offset,
            key=records[index].key,
            value=records[index].value,
            headers=tuple(records[index].headers),
            appended_at=record_time(records[index].timestamp),
            reason=refusal.code,
            detail=refusal.detail,
        )
        for index, refusal in sorted(refusals.items())
    ]
