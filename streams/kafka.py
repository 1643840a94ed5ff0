"""Kafka as the stages use it: clients with our settings, identities, and topics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaConnectionError,
    TopicAlreadyExistsError,
    for_code,
)

from schemas.errors import UserError
from schemas.topics import DEAD_LETTER_BYTES, JOURNAL, TOPICS, Topic
from streams.kafka_access import client_options, no_connection
from streams.settings import PREFIX, Settings

FETCH_BYTES = 1_048_576
"""Per partition and fetch: thousands of events, in buffers that the allocator
reuses: at eight times as much, clearing fresh pages was a tenth of the meter's time."""
MAX_POLL_INTERVAL_MS = 3_600_000
"""A stage that waits for ClickHouse keeps its partitions: it resumes by what it wrote, not by
what the group thinks."""
ENTRY_ROOM = 262_144
"""What headers and framing add to the largest journal entry."""
SAFE_REPLICAS = 3
"""From so many on a write can ask for two of them, and still be done when one broker is lost."""


def consumer(
    settings: Settings, *topics: str, group: str | None = None, patience: int = 1
) -> AIOKafkaConsumer:
    """A consumer that commits only what it is told to, and starts at the beginning.

    ``patience``: how many times the settings' fetch wait it may take, where nobody waits for it.
    """
    return AIOKafkaConsumer(
        *topics,
        **client_options(settings),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=settings.fetch_max_wait_ms * patience,
        max_partition_fetch_bytes=FETCH_BYTES,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.session_timeout_ms // 4,
        rebalance_timeout_ms=settings.session_timeout_ms,
        request_timeout_ms=max(10_000, settings.session_timeout_ms + 1000),
        max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        isolation_level="read_committed",
    )


async def stop_consumer(reader: AIOKafkaConsumer) -> None:
    """End it and its connections, also while a broker is away.

    aiokafka cancels its fetches; one that waits for a broker that is away takes `stop` with it,
    which then looks as if we had been cancelled, and leaves the connections open.
    """
    stopping = asyncio.create_task(reader.stop())
    await asyncio.wait({stopping})
    if stopping.cancelled():
        await reader._client.close()
    else:
        stopping.result()


def producer(settings: Settings) -> AIOKafkaProducer:
    """A producer that waits for every replica. Not idempotent: the fence does not need it."""
    return AIOKafkaProducer(
        **client_options(settings),
        acks="all",
        max_request_size=max(settings.max_entry_bytes + ENTRY_ROOM, DEAD_LETTER_BYTES),
        request_timeout_ms=10_000,
    )


async def cluster_id(settings: Settings) -> str:
    """The broker cluster's own id: a broker that forgot everything comes back with another.

    What a stage asks first. Raises UserError where the broker refuses us, KafkaConnectionError
    where it is away.
    """
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        description = await admin.describe_cluster()
    except KafkaConnectionError as error:
        raise await no_connection(settings) from error
    finally:
        await admin.close()
    return str(description["cluster_id"])


async def ensure_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing; their names. Existing ones stay as they are.

    Raises UserError where the brokers are fewer than the replicas that the settings ask for.
    """
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in existing]
        response = await admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    topic.partitions or settings.usage_partitions,
                    settings.replication_factor,
                    topic_configs=_topic_config(topic, settings),
                )
                for topic in missing
            ]
        )
        brokers = len((await admin.describe_cluster())["brokers"])
    finally:
        await admin.close()
    made = []
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if error is InvalidReplicationFactorError:
            raise UserError(
                f"{PREFIX}REPLICATION_FACTOR: {settings.replication_factor} replicas of topic "
                f"{name} are more than the brokers at {settings.kafka}; write {brokers} or less"
            )
        # A broker that was asked just now may not have heard yet of what another has made.
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {name}")
        if not code:
            made.append(name)
    return made


def _topic_config(topic: Topic, settings: Settings) -> dict[str, str]:
    config = dict(topic.config)
    if topic.name == JOURNAL:
        config["max.message.bytes"] = str(settings.max_entry_bytes + ENTRY_ROOM)
    if settings.replication_factor >= SAFE_REPLICAS:
        # Else a broker that is alone acknowledges, and takes what it acknowledged with it.
        config["min.insync.replicas"] = "2"
    return config


async def partitions_of(reader: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """All partitions of a topic, as the broker has them now; none where it does not exist.

    aiokafka's own `partitions_for_topic` knows only topics that the reader has already to do with,
    and on the embedded broker those that others have, too.
    """
    metadata = await reader._client.fetch_all_metadata()
    return [TopicPartition(topic, p) for p in sorted(metadata.partitions_for_topic(topic) or ())]


async def end_offsets(
    reader: AIOKafkaConsumer, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    """The offset after the last record of each partition: assigned to ``reader``, not paused.

    The embedded broker answers the usual question with the last *batch*'s first offset plus one;
    a fetch tells the truth. Leaves the reader's positions near the ends: seek afterwards.
    """
    asked = set(partitions)
    beginnings = await reader.beginning_offsets(asked)
    ends: dict[TopicPartition, int] = await reader.end_offsets(asked)
    filled = {tp for tp, end in ends.items() if end > beginnings[tp]}
    for tp in filled:
        reader.seek(tp, ends[tp] - 1)
    while any(reader.highwater(tp) is None for tp in filled):
        await reader.getmany(timeout_ms=100)
    return {tp: reader.highwater(tp) if tp in filled else end for tp, end in ends.items()}


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed offset, and the journal entry that ended there where the commit says it."""

    offset: int
    journal: str | None = None
    position: int | None = None

    def metadata(self) -> str:
        """What is committed beside the offset."""
        return json.dumps({"journal": self.journal, "position": self.position})


def read_committed(offset: int, metadata: str | None) -> Committed | None:
    """What a group committed for a partition; None where it never did.

    A broker may not keep metadata (the embedded one does not); then only the offset is known.
    """
    if offset < 0:
        return None
    try:
        fields = json.loads(metadata or "null")
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("position"), int):
        return Committed(offset)
    return Committed(offset, fields.get("journal"), fields["position"])


async def committed(
    settings: Settings, group: str, partitions: Iterable[TopicPartition]
) -> Mapping[TopicPartition, Committed | None]:
    """What the group committed, with metadata."""
    wanted = list(partitions)
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        found: dict[TopicPartition, Any] = await admin.list_consumer_group_offsets(
            group, partitions=wanted
        )
    finally:
        await admin.close()
    return {
        tp: read_committed(found[tp].offset, found[tp].metadata) if tp in found else None
        for tp in wanted
    }
