"""A consumer for the hot path: aiokafka's, with records that cost a third of its own to make.

aiokafka makes a frozen dataclass of eleven fields for each record, which is more than half of what
reading one costs. Stages that read usage need six of them. Everything else (fetching, positions,
checksums, transactions) is aiokafka's. A test compares the two record by record, so that a new
version that works otherwise is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher

from streams.kafka import consumer
from streams.settings import Settings


class Record(NamedTuple):
    """One record as it was read; ``timestamp`` in milliseconds since 1970, UTC."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class LightRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """What a fetch has brought of one partition, as `Record`s."""

    def _consumer_record(self, tp: Any, record: Any) -> Record:
        return Record(
            tp.partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            record.headers,
        )


def usage_consumer(settings: Settings, group: str) -> AIOKafkaConsumer:
    """A consumer of a group whose records are `Record`.

    aiokafka's fetcher looks the class of its records up in its module: from now on every consumer
    of this process has them. So it is for processes that read usage, and nothing else.
    """
    fetcher.PartitionRecords = LightRecords
    return consumer(settings, group=group)
