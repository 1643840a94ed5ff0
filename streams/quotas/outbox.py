"""Records on their way to `llm.quotas`: kept until the broker has them, of each key the newest."""

from __future__ import annotations

import asyncio
import logging

from aiokafka import AIOKafkaProducer

from schemas.quotas import STAMP_HEADER, Record, Stamp
from streams.health import working
from streams.quotas.reader import PARTITION
from streams.stage import persist

log = logging.getLogger(__name__)

MOST_BYTES = 1_000_000
"""What brokers take without being told otherwise, less what a record has around it."""


class Outbox:
    """Whoever puts a record in does not wait. While the broker is away nothing piles up."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[bytes | None, Stamp]] = {}
        self._filled = asyncio.Event()

    def put(self, key: str, record: Record | None, stamp: Stamp) -> None:
        """Publish the record, or that the key has none any more."""
        value = None if record is None else record.model_dump_json().encode()
        if value is not None and len(value) > MOST_BYTES:
            log.error("%s is not published: %d bytes are too many for a record", key, len(value))
            return
        self._waiting[key] = value, stamp
        self._filled.set()

    async def deliver(self, producer: AIOKafkaProducer, stop: asyncio.Event) -> None:
        """Send what is put in, until ``stop`` is set."""
        while not stop.is_set():
            await self._filled.wait()
            self._filled.clear()
            batch, self._waiting = self._waiting, {}
            with working("publishing quotas"):
                await persist("publishing quotas", lambda: _send(producer, batch), stop)  # noqa: B023 - awaited in this turn


async def _send(producer: AIOKafkaProducer, batch: dict[str, tuple[bytes | None, Stamp]]) -> None:
    sent = [
        await producer.send(
            PARTITION.topic,
            value,
            key=key.encode(),
            partition=PARTITION.partition,
            headers=[(STAMP_HEADER, stamp.model_dump_json().encode())] if value is None else [],
        )
        for key, (value, stamp) in batch.items()
    ]
    for outcome in await asyncio.gather(*sent, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
