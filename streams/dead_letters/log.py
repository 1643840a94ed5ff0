"""The usage topic as a replay needs it: where it ends, what stands in it, one more record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.dead_letters import Letter
from schemas.errors import UserError
from schemas.topics import DEAD_LETTER_HEADER, USAGE
from streams.kafka import cluster_id, consumer, end_offsets, partitions_of, producer
from streams.settings import Settings

READ_AT_ONCE = 50_000


class UsageLog:
    """Made by `usage_log`. Every method raises KafkaError where the broker is away."""

    def __init__(
        self,
        source: str,
        partitions: Sequence[int],
        reader: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
    ) -> None:
        self.source = source
        """Cluster id and topic, as the letters name theirs."""
        self._partitions = partitions
        self._reader = reader
        self._producer = producer

    def partition_for(self, letter: Letter) -> int:
        """The partition that the letter came by: the meter knows repeats within one partition.

        Of a topic with fewer partitions, as a new cluster may have it, one that is always the same.
        """
        return self._partitions[letter.partition % len(self._partitions)]

    async def ends(self) -> dict[int, int]:
        """Per partition, the offset that the next record gets."""
        partitions = [TopicPartition(USAGE, p) for p in self._partitions]
        self._reader.assign(partitions)
        found = await end_offsets(self._reader, partitions)
        return {tp.partition: end for tp, end in found.items()}

    async def send(self, letter: Letter, value: bytes | None) -> int:
        """Append a letter with these bytes, original key and headers; its offset once it is there.

        Where it raises KafkaError, it may be there or not.
        """
        headers = [header for header in letter.headers if header[0] != DEAD_LETTER_HEADER]
        sent = await self._producer.send_and_wait(
            USAGE,
            value=value,
            key=letter.key,
            headers=[*headers, (DEAD_LETTER_HEADER, letter.letter.encode())],
            partition=self.partition_for(letter),
        )
        offset: int = sent.offset
        return offset

    async def find(
        self, ids: Sequence[str], begin: Mapping[int, int]
    ) -> dict[str, tuple[int, int]]:
        """Letters that stand in the log: partition and offset of the first of each.

        ``begin``: where to look, and from which offset on.
        """
        wanted = {TopicPartition(USAGE, p): n for p, n in begin.items() if p in self._partitions}
        names = {name.encode(): name for name in ids}
        found: dict[str, tuple[int, int]] = {}
        if not wanted or not names:
            return found
        self._reader.assign(list(wanted))
        ends = await end_offsets(self._reader, wanted)
        beginnings = await self._reader.beginning_offsets(list(wanted))
        for tp, first in wanted.items():
            self._reader.seek(tp, min(max(first, beginnings[tp]), ends[tp]))
        while pending := [tp for tp in wanted if await self._reader.position(tp) < ends[tp]]:
            self._reader.pause(*(wanted.keys() - set(pending)))
            batches = await self._reader.getmany(timeout_ms=500, max_records=READ_AT_ONCE)
            for tp, records in batches.items():
                for record in records:
                    name = names.get(dict(record.headers).get(DEAD_LETTER_HEADER) or b"")
                    if name is not None:
                        found.setdefault(name, (tp.partition, record.offset))
        return found


@asynccontextmanager
async def usage_log(settings: Settings) -> AsyncIterator[UsageLog]:
    """The usage topic of the settings' broker. Raises UserError where there is none."""
    source = f"{await cluster_id(settings)}/{USAGE}"
    reader, sender = consumer(settings), producer(settings)
    try:
        await reader.start()
        await sender.start()
        partitions = [tp.partition for tp in await partitions_of(reader, USAGE)]
        if not partitions:
            raise UserError(f"the broker has no topic {USAGE}; run spendstream migrate")
        yield UsageLog(source, partitions, reader, sender)
    finally:
        await sender.stop()
        await reader.stop()
