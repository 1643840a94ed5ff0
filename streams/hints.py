"""Committing offsets that nothing rests on: they shorten a start, and show the lag to others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.health import done

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
"""aiokafka tries a commit until the broker is back; a stage has better things to do meanwhile, and
to end when it is told to."""


async def commit_hint(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, Any]) -> bool:
    """Commit; False where it was left out: what a stage wrote says how far it got."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await consumer.commit(offsets)
    except (KafkaError, TimeoutError) as error:
        log.info("commit left out: %r", error)
        return False
    done("commit")
    return True
