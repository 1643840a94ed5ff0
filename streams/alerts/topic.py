"""The alerts topic as a whole: one partition, compacted, small. Who reads it knows everything."""

from __future__ import annotations

from aiokafka import TopicPartition

from schemas.alerts import Alert, Silence, read_record
from schemas.topics import ALERTS
from streams.kafka import consumer, end_offsets, producer
from streams.settings import Settings

PARTITION = TopicPartition(ALERTS, 0)


async def read_topic(settings: Settings) -> tuple[list[Alert], list[Silence]]:
    """Everything that it holds up to now, in its order."""
    reader = consumer(settings)
    await reader.start()
    alerts: list[Alert] = []
    silences: list[Silence] = []
    try:
        reader.assign([PARTITION])
        end = (await end_offsets(reader, [PARTITION]))[PARTITION]
        await reader.seek_to_beginning(PARTITION)
        while await reader.position(PARTITION) < end:
            for records in (await reader.getmany(timeout_ms=200)).values():
                found = [read_record(record.value) for record in records]
                alerts += [one for one in found if isinstance(one, Alert)]
                silences += [one for one in found if isinstance(one, Silence)]
    finally:
        await reader.stop()
    return alerts, silences


def key_of(record: Alert | Silence) -> bytes:
    """What the topic is compacted by: the alert, or the silence."""
    name = record.alert_id if isinstance(record, Alert) else f"silence:{record.silence}"
    return name.encode()


async def publish(settings: Settings, record: Alert | Silence) -> None:
    """Append a record; returns once the topic has it."""
    writer = producer(settings)
    await writer.start()
    try:
        await writer.send_and_wait(
            ALERTS, record.model_dump_json().encode(), key=key_of(record), partition=0
        )
    finally:
        await writer.stop()
