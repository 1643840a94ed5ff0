"""The Apache Kafka that other tests stand on: it keeps its word, and what we ask of it works."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.errors import UserError
from schemas.topics import DEAD_LETTERS, JOURNAL, TOPICS, USAGE
from streams.kafka import Committed, committed, ensure_topics, partitions_of
from streams.settings import load_settings
from tests.support.apache_kafka import KafkaCluster
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ENTRIES = TopicPartition(JOURNAL, 0)


@pytest.fixture(scope="module")
def three(
    kafka_startable: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaCluster]:
    cluster = KafkaCluster(tmp_path_factory.mktemp("three"), nodes=3)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def create(bootstrap: str, topic: str, **config: str) -> None:
    configs = {name.replace("_", "."): value for name, value in config.items()}
    async with admin(bootstrap) as client:
        await client.create_topics([NewTopic(topic, 1, 1, topic_configs=configs)])


async def config_of(bootstrap: str, topic: str) -> dict[str, str]:
    async with admin(bootstrap) as client:
        asked = ConfigResource(ConfigResourceType.TOPIC, topic)
        ((resource,),) = [r.resources for r in await client.describe_configs([asked])]
    return {name: value for name, value, *_ in resource[4]}


async def produce(bootstrap: str, topic: str, values: list[bytes], **record: int) -> None:
    """Returns when every one is acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, **record)
    finally:
        await producer.stop()


@asynccontextmanager
async def consuming(bootstrap: str, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def read(bootstrap: str, partition: TopicPartition, count: int) -> list[tuple[bytes, int]]:
    """Value and time stamp in milliseconds of so many records from the beginning."""
    async with consuming(bootstrap) as consumer:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        records = [await consumer.getone() for _ in range(count)]
    return [(record.value, record.timestamp) for record in records]


async def test_records_come_back_in_order_under_their_producers_time(apache_kafka: str) -> None:
    await create(apache_kafka, "as-produced")
    values = [b"%d" % n for n in range(100)]
    an_hour_ago = int(time.time() * 1000) - 3_600_000
    await produce(apache_kafka, "as-produced", values, timestamp_ms=an_hour_ago)
    found = await read(apache_kafka, TopicPartition("as-produced", 0), 100)
    assert found == [(value, an_hour_ago) for value in values]


async def test_a_log_append_time_is_the_brokers(apache_kafka: str) -> None:
    await create(apache_kafka, "as-appended", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    await produce(apache_kafka, "as-appended", [b"x"], timestamp_ms=before - 3_600_000)
    ((_, stamp),) = await read(apache_kafka, TopicPartition("as-appended", 0), 1)
    assert before <= stamp <= int(time.time() * 1000)


async def test_metadata_is_committed_with_an_offset(apache_kafka: str) -> None:
    await create(apache_kafka, "committed")
    partition = TopicPartition("committed", 0)
    mark = Committed(7, "cluster/llm.spend", 42)
    async with consuming(apache_kafka, "test-committed") as consumer:
        consumer.assign([partition])
        await consumer.commit({partition: (mark.offset, mark.metadata())})
    settings = load_settings(kafka=apache_kafka)
    unknown = TopicPartition("committed", 1)
    found = await committed(settings, "test-committed", [partition, unknown])
    assert found == {partition: mark, unknown: None}


async def test_more_replicas_than_brokers_are_refused_with_the_setting(apache_kafka: str) -> None:
    settings = load_settings(kafka=apache_kafka, replication_factor=2)
    with pytest.raises(UserError, match=r"SPENDSTREAM_REPLICATION_FACTOR: 2 .* write 1 or less"):
        await ensure_topics(settings)


async def test_topics_are_made_once_and_for_what_they_carry(three: KafkaCluster) -> None:
    settings = load_settings(kafka=three.bootstrap, replication_factor=3)
    assert await ensure_topics(settings) == [topic.name for topic in TOPICS]
    assert await ensure_topics(settings) == []
    configs = {topic.name: await config_of(three.bootstrap, topic.name) for topic in TOPICS}
    assert {config["min.insync.replicas"] for config in configs.values()} == {"2"}
    for name in (USAGE, JOURNAL):
        assert configs[name]["message.timestamp.type"] == "LogAppendTime"
    for name in (DEAD_LETTERS, JOURNAL):
        assert configs[name]["retention.ms"] == "-1"
    assert int(configs[JOURNAL]["max.message.bytes"]) > settings.max_entry_bytes
    async with consuming(three.bootstrap) as reader:
        partitions = await partitions_of(reader, USAGE)
        assert partitions == [TopicPartition(USAGE, p) for p in range(settings.usage_partitions)]
        assert await partitions_of(reader, "nobody-made-it") == []


async def test_what_was_acknowledged_outlives_its_leader(three: KafkaCluster) -> None:
    bootstrap = three.bootstrap
    await ensure_topics(load_settings(kafka=bootstrap, replication_factor=3))
    values = [b"%d" % n for n in range(50)]
    await produce(bootstrap, JOURNAL, values)
    first = three.leader(JOURNAL, 0)
    assert first in three.node_ids

    three.kill(first)
    assert not three.is_alive(first)
    wait_until("another leads", lambda: three.leader(JOURNAL, 0) not in (first, -1))
    await produce(bootstrap, JOURNAL, [b"after"])
    assert [value for value, _ in await read(bootstrap, ENTRIES, 51)] == [*values, b"after"]

    three.start_node(first)
    second = three.leader(JOURNAL, 0)
    three.terminate(second)
    wait_until("another leads", lambda: three.leader(JOURNAL, 0) not in (second, -1))
    assert len(await read(bootstrap, ENTRIES, 51)) == 51
