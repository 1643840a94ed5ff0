"""What retention removed from a log before it was read: never silent, and counted exactly."""

from __future__ import annotations

import asyncio
import logging

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.stage import persist

log = logging.getLogger(__name__)


async def lost_to_retention(
    reader: AIOKafkaConsumer, tp: TopicPartition, due: int, first: int, stop: asyncio.Event
) -> int:
    """How many offsets from ``due`` on are gone, where ``first`` is the first that could be read.

    Offsets that a log skips by itself (compaction, transactions) are not lost.
    """
    if first <= due:
        return 0
    beginnings = await persist(
        "asking where the log begins", lambda: reader.beginning_offsets([tp]), stop
    )
    # Retention may go on meanwhile: what was read was not lost.
    lost = max(0, min(beginnings[tp], first) - due)
    if lost:
        log.error("%s: %d events were removed by retention unread", tp, lost)
    return int(lost)
