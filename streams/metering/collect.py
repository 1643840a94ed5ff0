"""Reading micro-batches: closed by time, by number of records, and by their bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from aiokafka import AIOKafkaConsumer

from streams.health import beat, done, working
from streams.usage_consumer import Record

IDLE_SECONDS = 0.2
"""Longest wait for a first record before the caller looks at what else there is to do."""

_value = attrgetter("value")


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch is closed so long after its first record, or when it has so many records or bytes.

    ``bytes`` counts values. What one fetch brought is not cut: a batch may be larger by that.
    """

    seconds: float
    records: int
    bytes: int


class Collector:
    """Collects records from a consumer, one batch after the other."""

    def __init__(self, consumer: AIOKafkaConsumer, limits: Limits) -> None:
        self._consumer = consumer
        self._limits = limits
        self.held = 0
        """Records of the batch that is being collected."""

    async def collect(self, stop: asyncio.Event) -> dict[int, list[Record]]:
        """Records by partition, in the order of their offsets; empty where none came for a moment.

        When ``stop`` is set a batch that was begun is finished, and none is begun.
        """
        with working("collecting"):
            try:
                return await self._collect(stop)
            finally:
                self.held = 0

    async def _collect(self, stop: asyncio.Event) -> dict[int, list[Record]]:
        limits = self._limits
        collected: dict[int, list[Record]] = {}
        size = 0
        closes_at: float | None = None
        while (
            self.held < limits.records
            and size < limits.bytes
            and not (stop.is_set() and closes_at is None)
        ):
            wait = IDLE_SECONDS if closes_at is None else closes_at - time.monotonic()
            if (wait_ms := int(wait * 1000)) <= 0:
                break
            got = await self._consumer.getmany(
                timeout_ms=wait_ms, max_records=limits.records - self.held
            )
            beat()
            done("poll")
            for tp, records in got.items():
                collected.setdefault(tp.partition, []).extend(records)
                self.held += len(records)
                size += _bytes_of(records)
            if closes_at is None:
                if not got:
                    break
                closes_at = time.monotonic() + limits.seconds
        return collected


def _bytes_of(records: Iterable[Record]) -> int:
    # Without a frame per record: this is the hot path.
    return sum(map(len, filter(None, map(_value, records))))
