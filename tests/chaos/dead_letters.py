"""Which records the dead-letter topic holds, by where they stood. Read on from look to look."""

from __future__ import annotations

from aiokafka import TopicPartition

from schemas.topics import DEAD_LETTERS, OFFSET_HEADER, PARTITION_HEADER, REASON_HEADER
from streams.kafka import consumer, end_offsets
from streams.settings import Settings
from tests.chaos.admin import insisting


class DeadLetters:
    """Partitions and offsets of the refused events that are there, with the reason of each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next = 0
        self.reasons: dict[tuple[int, int], str] = {}

    @insisting
    async def places(self) -> set[tuple[int, int]]:
        """Everything that is there now; a letter may be there several times."""
        tp = TopicPartition(DEAD_LETTERS, 0)
        reader = consumer(self._settings)
        await reader.start()
        try:
            reader.assign([tp])
            end = (await end_offsets(reader, [tp]))[tp]
            reader.seek(tp, self._next)
            while await reader.position(tp) < end:
                for records in (await reader.getmany(timeout_ms=200)).values():
                    for record in records:
                        headers = dict(record.headers)
                        place = (int(headers[PARTITION_HEADER]), int(headers[OFFSET_HEADER]))
                        self.reasons[place] = headers[REASON_HEADER].decode()
            self._next = end
        finally:
            await reader.stop()
        return set(self.reasons)
