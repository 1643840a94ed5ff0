"""The usage log as a witness: the records at the offsets of a journal range, where it has them."""

from __future__ import annotations

from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import USAGE
from streams.kafka import consumer, end_offsets, partitions_of, stop_consumer
from streams.reconciliation.ranges import RangeDifference
from streams.settings import Settings
from streams.usage_consumer import Record


class UsageLog:
    """Reads ranges of the usage topic's partitions. A context manager: it holds a consumer."""

    def __init__(self, settings: Settings, partitions: Collection[int]) -> None:
        self._settings = settings
        self._tps = {TopicPartition(USAGE, partition) for partition in partitions}
        self._beginnings: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._consumer: AIOKafkaConsumer

    async def __aenter__(self) -> UsageLog:
        self._consumer = consumer(self._settings)
        try:
            await self._consumer.start()
            # A partition that this cluster does not have is no witness.
            self._tps &= set(await partitions_of(self._consumer, USAGE))
            if self._tps:
                self._consumer.assign(list(self._tps))
                self._beginnings = await self._consumer.beginning_offsets(self._tps)
                self._ends = await end_offsets(self._consumer, self._tps)
                self._consumer.pause(*self._tps)
        except BaseException:
            await stop_consumer(self._consumer)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_consumer(self._consumer)

    async def records(self, covered: RangeDifference) -> list[Record] | None:
        """The range's records; None where the log does not have all of it (any more)."""
        tp = TopicPartition(USAGE, covered.partition.partition)
        if tp not in self._tps or not (
            self._beginnings[tp] <= covered.start and covered.through < self._ends[tp]
        ):
            return None
        self._consumer.seek(tp, covered.start)
        self._consumer.resume(tp)
        records: list[Record] = []
        while await self._consumer.position(tp) <= covered.through:
            for part in (await self._consumer.getmany(tp, timeout_ms=500)).values():
                records += [record for record in part if record.offset <= covered.through]
        self._consumer.pause(tp)
        return records
