"""Which broker the tests run on, and Apache Kafka for those that need the real one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.apache_kafka import KafkaCluster, kafka_unavailable
from tests.support.given_kafka import REQUIRED, delete_topics, given_kafka

# How long it takes to draw an example says how busy the machine is, and nothing of what is tested.
hypothesis.settings.register_profile(
    "any-machine", suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--broker",
        choices=("embedded", "kafka"),
        default="embedded",
        help="what the end-to-end tests run on (default: embedded)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "only_on(broker, why): left out of the end-to-end tests on the other broker"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    chosen = item.config.getoption("--broker")
    for marker in item.iter_markers("only_on"):
        broker, why = marker.args
        if chosen != broker:
            pytest.skip(f"only with --broker {broker}: {why}")


@pytest.fixture(scope="session")
def kafka_startable() -> None:
    """Skips, or fails where Apache Kafka is required, where a test cannot start its own."""
    if why := kafka_unavailable():
        message = f"Apache Kafka cannot be started: {why}"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{message}; {REQUIRED}=1 does not let the test be skipped", pytrace=False)
        pytest.skip(message)


@pytest.fixture(scope="session")
def apache_kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Bootstrap servers of an Apache Kafka without topics, one for all tests of the session.

    It is the one given by the environment (its topics llm.* are DELETED), or one of one node.
    """
    if given := given_kafka():
        delete_topics(given)
        yield given
        return
    request.getfixturevalue("kafka_startable")
    cluster = KafkaCluster(tmp_path_factory.mktemp("kafka"))
    try:
        cluster.start()
        yield cluster.bootstrap
    finally:
        cluster.stop()
