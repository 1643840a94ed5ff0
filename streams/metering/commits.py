"""What a meter commits: offsets with the journal entry that ended there, for a faster start.

Nothing rests on it. A commit that fails is left out, and the next one says more.
"""

from __future__ import annotations

import time

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from schemas.topics import USAGE
from streams.hints import commit_hint
from streams.kafka import Committed

COMMIT_SECONDS = 1.0
"""Between two commits."""


class Commits:
    """Offsets that were accepted and not committed yet, by partition."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._pending: dict[int, Committed] = {}
        self._committed_at = time.monotonic()

    def note(self, partition: int, reached: Committed) -> None:
        """So far the journal has accepted."""
        self._pending[partition] = reached

    def forget(self) -> None:
        """The partitions may be another one's now."""
        self._pending = {}

    async def commit(self, *, force: bool = False) -> None:
        """Commit what is pending, unless it was done a moment ago."""
        if not self._pending or not (
            force or time.monotonic() - self._committed_at > COMMIT_SECONDS
        ):
            return
        assigned = self._consumer.assignment()
        offsets = {
            tp: OffsetAndMetadata(reached.offset, reached.metadata())
            for partition, reached in self._pending.items()
            if (tp := TopicPartition(USAGE, partition)) in assigned
        }
        self._committed_at = time.monotonic()
        if await commit_hint(self._consumer, offsets):
            self._pending = {}
