"""A real `spendstream up` per module, on either broker, and what it said when a test fails.

`pytest tests/e2e` runs it on the embedded broker, `--broker kafka` on Apache Kafka.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.apache_kafka import KafkaCluster
from tests.support.given_kafka import delete_topics, given_kafka
from tests.support.running_stack import RunningStack

TRACES = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str | None]:
    """Bootstrap servers of an Apache Kafka without topics; None for the embedded broker.

    A cluster of its own for each module: it takes seconds, and names where the events come from.
    """
    if request.config.getoption("--broker") == "embedded":
        yield None
        return
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


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, kafka: str | None) -> Iterator[RunningStack]:
    running = RunningStack(tmp_path_factory.mktemp("stack") / "spendstream", kafka=kafka)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def traces() -> Path:
    """The folder of the real traces, which are not part of this repository."""
    if not TRACES.is_dir():
        pytest.skip("the real traces are not there: ../shared/data")
    return TRACES


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, RunningStack):
        report.sections.append(("spendstream up", stack.words()))
    return report
