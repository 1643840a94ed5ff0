"""Reads all of `llm.quotas`, and goes on reading: in every guard process, active or on standby, and
in every process of the web stage."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.quotas import Heartbeat
from schemas.topics import QUOTAS
from streams.health import heartbeat, resuming
from streams.kafka import consumer, end_offsets, stop_consumer
from streams.metrics import QUOTA_LATENCY
from streams.quotas.table import QuotaTable
from streams.settings import Settings
from streams.stage import persist
from streams.work import Work

log = logging.getLogger(__name__)

PARTITION = TopicPartition(QUOTAS, 0)
"""The only one, also where an operator has made more."""
POLL_MS = 200


async def read_quotas(settings: Settings, table: QuotaTable, stop: asyncio.Event) -> None:
    """Keep the table as the topic is, until ``stop`` is set.

    It has a consumer without a group. After a fault it reads everything again: nothing of that
    changes what is known already.
    """
    turn = heartbeat("reading quotas")
    with resuming(turn):
        await persist("reading quotas", lambda: _read(settings, table, turn, stop), stop)


async def _read(settings: Settings, table: QuotaTable, turn: Work, stop: asyncio.Event) -> None:
    turn.begin()
    reader = consumer(settings)
    try:
        await reader.start()
        reader.assign([PARTITION])
        end = (await end_offsets(reader, [PARTITION]))[PARTITION]
        await reader.seek_to_beginning(PARTITION)
        while not stop.is_set():
            turn.begin()
            if not table.ready and await reader.position(PARTITION) >= end:
                table.ready = True
                log.info(
                    "quotas: %d budgets, %d members", len(table.definitions), len(table.members)
                )
            await _take(reader, table)
    finally:
        await stop_consumer(reader)


async def _take(reader: AIOKafkaConsumer, table: QuotaTable) -> None:
    for records in (await reader.getmany(PARTITION, timeout_ms=POLL_MS)).values():
        for record in records:
            new = table.read(record.key, record.value, record.headers)
            if table.ready and new is not None and not isinstance(new, Heartbeat):
                age = datetime.now(UTC) - new.as_of.at
                QUOTA_LATENCY.observe(max(0.0, age.total_seconds()))
