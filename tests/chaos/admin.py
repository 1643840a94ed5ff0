"""What an operator does to Kafka by its admin tools."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError, for_code
from aiokafka.structs import OffsetAndMetadata

from schemas.topics import TOPICS, USAGE
from streams.kafka import partitions_of
from streams.settings import Settings
from tests.chaos.waiting import Stuck

_TOPIC_SOURCE = 1
"""Where a value of a topic's configuration comes from: set for the topic itself."""


P = ParamSpec("P")
T = TypeVar("T")
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.5


def insisting(action: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Try again, for a while, what a cluster that is not whole yet may refuse. Raises Stuck."""

    @functools.wraps(action)
    async def insist(*args: P.args, **kwargs: P.kwargs) -> T:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await action(*args, **kwargs)
            except KafkaError as error:
                if time.monotonic() > deadline:
                    raise Stuck(f"{action.__name__}: {error!r}") from error
            await asyncio.sleep(PAUSE_SECONDS)

    return insist


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@insisting
async def topic_config(settings: Settings, topic: str) -> dict[str, str]:
    """What is set for a topic itself."""
    async with _admin(settings) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        (response,) = await admin.describe_configs([resource])
    ((*_, entries),) = response.resources
    return {name: value for name, value, _, source, *_ in entries if source == _TOPIC_SOURCE}


@insisting
async def set_topic_config(settings: Settings, topic: str, config: Mapping[str, str]) -> None:
    """Set all that is set for a topic; what is left out goes back to its default."""
    async with _admin(settings) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, dict(config))
        responses = await admin.alter_configs([resource])
    for response in responses:
        for code, message, *_ in response.resources:
            if code:
                raise for_code(code)(f"configuration of {topic}: {message}")


async def isr_is_full(settings: Settings) -> bool:
    """True where every replica of our topics is in sync."""
    try:
        async with _admin(settings) as admin:
            described = await admin.describe_topics([topic.name for topic in TOPICS])
    except KafkaError:
        return False
    return all(
        sorted(part["isr"]) == sorted(part["replicas"]) and part["leader"] >= 0
        for topic in described
        for part in topic["partitions"]
    )


@insisting
async def reset_group(settings: Settings, group: str, topic: str) -> None:
    """Set a group back to the beginning of a topic, once its last member is gone."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        tps = await partitions_of(consumer, topic)
        consumer.assign(tps)
        await consumer.commit({tp: OffsetAndMetadata(0, "") for tp in tps})
    finally:
        await consumer.stop()


@insisting
async def delete_records(settings: Settings, partition: int, before: int) -> None:
    """Remove a partition's usage up to an offset, as retention does."""
    async with _admin(settings) as admin:
        tp = TopicPartition(USAGE, partition)
        await admin.delete_records({tp: RecordsToDelete(before)})
