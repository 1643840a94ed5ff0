"""The archive sink: every usage event into ClickHouse, decoded and rated as the meter does it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import polars as pl
import pyarrow as pa
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.batch import INDEX
from schemas.journal import SourcePartition
from schemas.topics import USAGE
from schemas.wire import SchemaLookup
from sinks.archive import Archive
from streams.kafka import cluster_id
from streams.metering.events import decoded_records
from streams.rating.pricebook import PriceBook
from streams.settings import Settings
from streams.stage import persist
from streams.stores import clickhouse
from streams.usage_consumer import Record, usage_consumer

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
        self._rank = 0
        self._writing: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer
        self._archive: Archive

    async def run(self, stop: asyncio.Event) -> None:
        """Land events until told to stop."""
        cluster = await persist("reaching the broker", lambda: cluster_id(self._settings), stop)
        connection = clickhouse(self._settings)
        self._archive = Archive(connection, f"{cluster}/{USAGE}")
        self._consumer = usage_consumer(self._settings, GROUP)
        await persist("joining the archive sinks", self._consumer.start, stop)
        self._consumer.subscribe([USAGE], listener=self)
        try:
            while not stop.is_set():
                if self._next is None and self._consumer.assignment():
                    await persist("finding where to resume", self._resume, stop)
                collected = await self._collect()
                following = self._next
                if collected and following is not None:
                    await self._land(collected, following, stop)
            await self._written()
        finally:
            await self._consumer.stop()
            connection.close()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Another one has them now; what it writes is not known here."""
        self._next = None

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Hold back until ClickHouse has said where to resume."""
        self._next = None
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
        self._next = following
        log.info("archiving from %s", following)

    async def _collect(self) -> dict[int, list[Record]]:
        limit = self._settings.batch_events
        collected: dict[int, list[Record]] = {}
        count = 0
        closes_at: float | None = None
        while count < limit:
            wait = 0.2 if closes_at is None else closes_at - time.monotonic()
            if wait <= 0:
                break
            got = await self._consumer.getmany(
                timeout_ms=int(wait * 1000), max_records=limit - count
            )
            if not got and closes_at is None:
                break
            closes_at = closes_at or time.monotonic() + LINGER_SECONDS
            for tp, records in got.items():
                collected.setdefault(tp.partition, []).extend(records)
                count += len(records)
        return collected

    async def _land(
        self,
        collected: dict[int, list[Record]],
        following: dict[int, int],
        stop: asyncio.Event,
    ) -> None:
        """Decode a batch while the one before is being inserted; then insert it."""
        spans = [
            (SourcePartition(self._archive.source, p), following[p], records[-1].offset)
            for p, records in sorted(collected.items())
        ]
        records = [record for _, part in sorted(collected.items()) for record in part]
        events = await persist("decoding", lambda: asyncio.to_thread(self._decoded, records), stop)
        await self._written()
        if self._next is not following:
            return
        for key, _, through in spans:
            following[key.partition] = through + 1
        self._writing = asyncio.create_task(self._write(events, spans, stop))

    def _decoded(self, records: Sequence[Record]) -> pa.Table:
        events, _ = decoded_records(records, self._book, self._lookup)
        return archive_rows(events)

    async def _write(
        self,
        events: pa.Table,
        spans: Sequence[tuple[SourcePartition, int, int]],
        stop: asyncio.Event,
    ) -> None:
        await persist(
            "writing the archive",
            lambda: asyncio.to_thread(self._archive.write, events, spans, self._rank),
            stop,
        )
        try:
            await self._consumer.commit(
                {TopicPartition(USAGE, key.partition): n + 1 for key, _, n in spans}
            )
        except KafkaError as error:
            log.info("commit left out, ClickHouse knows better: %s", error)

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
