"""An embedded ClickHouse endpoint for a module, and an empty database in it for each test; and a
Kafka that demands TLS, users and certificates.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sinks.clickhouse import ClickHouse
from tests.support.emptied import migrated, remove_rows
from tests.support.kafka_security import DemandingKafka, demanding_kafka
from tests.support.tls import Authority

ENDPOINT = """
import asyncio, signal, sys
from pathlib import Path
from sinks.embedded import serve

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(Path(sys.argv[1]), "127.0.0.1", 0, stop=stop,
                ready=lambda url: print(url, flush=True))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an endpoint in a process of its own."""
    data = tmp_path_factory.mktemp("clickhouse") / "data"
    command = [sys.executable, "-c", ENDPOINT, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0


@pytest.fixture
def empty(endpoint: str, request: pytest.FixtureRequest) -> Iterator[ClickHouse]:
    """A connection to a database without tables."""
    name = f"test_{abs(hash(request.node.nodeid))}"
    server = ClickHouse(endpoint)
    server.command(f"CREATE DATABASE {name}")
    connection = ClickHouse(endpoint, database=name)
    yield connection
    connection.close()
    server.command(f"DROP DATABASE {name}")
    server.close()


@pytest.fixture(scope="module")
def migrated_once(endpoint: str) -> Iterator[ClickHouse]:
    """A connection to a database with all tables, which take longer to make than most tests."""
    with migrated(endpoint, "tables") as connection:
        yield connection


@pytest.fixture
def clickhouse(migrated_once: ClickHouse) -> ClickHouse:
    """A connection to a database with all tables, without rows."""
    remove_rows(migrated_once)
    return migrated_once


@pytest.fixture(scope="session")
def demanding(
    kafka_startable: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DemandingKafka]:
    """The demanding Kafka, with no topics but those that tests make."""
    folder = tmp_path_factory.mktemp("demanding")
    authority = Authority(folder)
    cluster = demanding_kafka(folder / "kafka", authority)
    try:
        cluster.start()
        yield DemandingKafka(cluster, authority)
    finally:
        cluster.stop()
