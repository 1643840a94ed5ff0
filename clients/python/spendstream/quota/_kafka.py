"""Quotas by Kafka: the compacted topic `llm.quotas`, from its beginning on, without a group."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from spendstream._courier import words
from spendstream.quota._records import Stamp, read_stamp
from spendstream.quota._source import Away, Reading

_log = logging.getLogger("spendstream")

STAMP_HEADER = "spendstream.as_of"
CONNECT_TIMEOUT = 10.0
SILENCE_TIMEOUT = 10.0
"""Seconds. A broker answers a fetch twice a second, with nothing if need be."""
FETCH_MS = 500
POLL_MS = 200
STOP_TIMEOUT = 1.0


class KafkaSource:
    """``access``: of `Security.options`."""

    def __init__(
        self, servers: Sequence[tuple[str, int]], access: Mapping[str, Any], topic: str
    ) -> None:
        self._servers = servers
        self._access = access
        self._partition = TopicPartition(topic, 0)

    async def read(self, reading: Reading) -> None:
        """Read until cancelled. Raises Away."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=[
                f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                for host, port in self._servers
            ],
            **self._access,
            client_id="spendstream-client",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_MS,
            isolation_level="read_committed",
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._knock()
                await consumer.start()
                consumer.assign([self._partition])
                await consumer.seek_to_beginning(self._partition)
            await self._follow(consumer, reading)
        except TimeoutError:
            topic = self._partition.topic
            raise Away(f"no answer about {topic} within {CONNECT_TIMEOUT:.0f} s") from None
        except (KafkaError, OSError) as error:
            raise Away(words(error)) from None
        finally:
            await _stop(consumer)

    async def _follow(self, consumer: AIOKafkaConsumer, reading: Reading) -> None:
        caught_up, begun = False, time.time()
        while True:
            found = await consumer.getmany(self._partition, timeout_ms=POLL_MS)
            for record in found.get(self._partition, ()):
                _take(record, reading)
            # What a fetch has told: some brokers answer the question for the end wrongly.
            end = consumer.highwater(self._partition)
            if not caught_up and end is not None:
                caught_up = await consumer.position(self._partition) >= end
                if caught_up:
                    reading.caught_up()
            answered = (consumer.last_poll_timestamp(self._partition) or 0) / 1000
            silence = time.time() - max(begun, answered)
            if silence > SILENCE_TIMEOUT:
                raise Away(f"the broker has not answered for {silence:.0f} s")

    async def _knock(self) -> None:
        """Raise OSError unless a server can be reached.

        aiokafka logs every attempt as an error, and does not say why it failed.
        """
        for number, (host, port) in enumerate(self._servers, start=1):
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                if number == len(self._servers):
                    raise
                continue
            writer.close()
            with contextlib.suppress(OSError):  # it has answered, which is all that was asked
                await writer.wait_closed()
            return


def _take(record: ConsumerRecord[bytes, bytes], reading: Reading) -> None:
    with contextlib.suppress(ValueError, RecursionError):  # no record of ours
        key = (record.key or b"").decode()
        if record.value is None:
            reading.record(key, None, _stamp(record.headers))
        elif (value := json.loads(record.value)) is not None:
            reading.record(key, value, None)


def _stamp(headers: Sequence[tuple[str, bytes]]) -> Stamp | None:
    for name, value in headers:
        if name == STAMP_HEADER:
            return read_stamp(json.loads(value))
    return None


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Say goodbye, without waiting for a broker that is away.

    In tasks: aiokafka cancels its fetches, and one that waits for such a broker takes `stop` with
    it, which then looks as if we had been cancelled, and leaves the connections open.
    """
    for goodbye in (consumer.stop(), consumer._client.close()):
        task = asyncio.create_task(goodbye)
        await asyncio.wait({task}, timeout=STOP_TIMEOUT)
        if not task.done():
            task.cancel()
        elif not task.cancelled() and (error := task.exception()):
            _log.debug("while the consumer was stopped: %s", words(error))
