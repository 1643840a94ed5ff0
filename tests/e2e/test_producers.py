"""The broker goes away under four producers, and one of them is killed meanwhile: each event that
`emit` gave an id for is in ClickHouse, and counts once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from genai_prices.data_snapshot import get_snapshot

from streams.cli.reconcile import reconciliation
from streams.stack.backlog import wait_until_empty
from streams.stack.run_file import running_stack
from tests.support.apache_kafka import KafkaCluster
from tests.support.genai import second_opinion
from tests.support.running_stack import RunningStack, children, clean_environment, command_line
from tests.support.totals import TOTALS_SQL
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROVIDER, MODEL = "openai", "gpt-4o-mini"
PRODUCERS = 4
PER_SECOND = 125
"""Of each producer: 500 events a second together."""
AWAY_SECONDS = 60.0
EMBEDDED_AWAY_SECONDS = 10.0
"""The embedded broker keeps its log in memory, so it is only frozen."""
CAUGHT_UP_SECONDS = 60.0

ARCHIVE_TOTALS_SQL = (
    "SELECT count(), sum(input_tokens), sum(ifNull(cache_read_tokens, 0)), sum(output_tokens), "
    "sum(cost) FROM usage"
)
"""As `TOTALS_SQL`, of the single events."""


@pytest.fixture(scope="module")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaCluster | None]:
    """An Apache Kafka of our own, because it is stopped; None for the embedded broker."""
    if request.config.getoption("--broker") == "embedded":
        yield None
        return
    request.getfixturevalue("kafka_startable")
    cluster = KafkaCluster(tmp_path_factory.mktemp("kafka"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def kafka(cluster: KafkaCluster | None) -> str | None:
    """What `stack` runs on."""
    return cluster.bootstrap if cluster is not None else None


class Noted(NamedTuple):
    """What a producer wrote down of an event once it had its id."""

    team: str
    input_tokens: int
    output_tokens: int


class Producer:
    """A process that emits (see `tests/support/steady_producer.py`)."""

    def __init__(self, name: str, folder: Path, url: str, spool: Path, timeout: float) -> None:
        self._notes = folder / f"{name}.txt"
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.support.steady_producer", url),
                    *("--spool", str(spool), "--notes", str(self._notes), "--model", MODEL),
                    *("--per-second", str(PER_SECOND), "--delivery-timeout", str(timeout)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=clean_environment(),
            )

    def count(self) -> int:
        """How many events it has noted so far."""
        return self._notes.read_bytes().count(b"\n") if self._notes.exists() else 0

    def noted(self) -> list[tuple[str, Noted]]:
        """Every event_id that it was given, and what the event says."""
        lines = map(str.split, self._notes.read_text().splitlines())
        return [(line[0], Noted(line[1], int(line[2]), int(line[3]))) for line in lines]

    def emit_no_more(self) -> None:
        """Let it deliver what it has and end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.stdin = None

    def final_counts(self) -> dict[str, Any]:
        """What it says when it ends. Waits for that."""
        said, _ = self.process.communicate(timeout=2 * CAUGHT_UP_SECONDS)
        assert self.process.returncode == 0, self._log.read_text()
        stats: dict[str, Any] = json.loads(said)
        return stats


@contextmanager
def broker_away(stack: RunningStack, cluster: KafkaCluster | None) -> Iterator[None]:
    """Stop the broker for the time of the block; it is back, and answers, after it."""
    if cluster is not None:
        (node,) = cluster.node_ids
        cluster.terminate(node)
        yield
        cluster.start_node(node)
        return
    up = int(str(running_stack(stack.folder)["pid"]))
    (broker,) = [pid for pid in children(up) if "--storage-engine" in command_line(pid)]
    os.kill(broker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker, signal.SIGCONT)


def price_of(input_tokens: int, output_tokens: int) -> Decimal:
    """USD. A token of this model costs the same in every call: the sum's price is that of all."""
    buckets = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    provider, model = get_snapshot().find_provider_model(MODEL, None, PROVIDER, None)
    pico = second_opinion(provider, model, buckets, datetime.now(UTC), None).cost
    assert pico is not None
    return Decimal(pico).scaleb(-12)


def test_what_was_emitted_while_the_broker_was_away_counts_once_though_a_producer_was_killed(
    stack: RunningStack, cluster: KafkaCluster | None, tmp_path: Path
) -> None:
    away = AWAY_SECONDS if cluster is not None else EMBEDDED_AWAY_SECONDS
    url, spool = f"kafka://{stack.settings.kafka}", tmp_path / "spool"
    with ExitStack() as running:

        def producer(name: str) -> Producer:
            # The client's own timeout is 30 s: as in the minute, it passes in the shorter outage.
            started = Producer(name, tmp_path, url, spool, timeout=away / 2)
            running.enter_context(started.process)
            running.callback(started.process.kill)
            return started

        first = [producer(f"producer-{number}") for number in range(PRODUCERS)]
        wait_until("the first events", lambda: stack.query("SELECT 1 FROM spend LIMIT 1"))
        wait_until("every producer emits", lambda: all(one.count() for one in first))

        victim, *survivors = first
        with broker_away(stack, cluster):
            back_at = time.monotonic() + away
            before = victim.count()
            wait_until(
                "the victim emits while the broker is away",
                lambda: victim.count() - before > PER_SECOND * away / 3,
                away,
            )
            victim.process.kill()
            victim.process.wait()
            left_behind = victim.count() - before
            time.sleep(max(0.0, back_at - time.monotonic()))

        heir = producer("heir")
        wait_until("the heir emits", heir.count)
        living = [*survivors, heir]
        for one in living:
            one.emit_no_more()
        counts = [one.final_counts() for one in living]

    assert [count["emitted"] for count in counts] == [one.count() for one in living]
    assert [count["recovered"] for count in counts[:-1]] == [0] * len(survivors)
    assert counts[-1]["recovered"] >= left_behind > 0
    for count in counts:
        assert count["delivered"] == count["emitted"] + count["recovered"], count
    assert list(spool.iterdir()) == []

    left = asyncio.run(wait_until_empty(stack.settings, CAUGHT_UP_SECONDS))
    assert left.empty, left
    said = [event for one in (victim, *living) for event in one.noted()]
    noted = dict(said)
    assert len(noted) == len(said)
    rows = stack.query("SELECT event_id, team, input_tokens, output_tokens FROM usage")
    archived = {event_id: Noted(*fields) for event_id, *fields in rows}
    assert len(archived) == len(rows)
    assert {event_id: archived.get(event_id) for event_id in noted} == noted
    # The kill may have come between an event and its note.
    assert len(archived) - len(noted) in (0, 1)

    tokens_in = sum(event.input_tokens for event in archived.values())
    tokens_out = sum(event.output_tokens for event in archived.values())
    expected = (len(archived), tokens_in, 0, tokens_out, price_of(tokens_in, tokens_out))
    for statement in (TOTALS_SQL, ARCHIVE_TOTALS_SQL):
        assert stack.query(statement) == [expected]
    verdict = reconciliation(stack.settings)
    assert verdict.ok, verdict.differences
    assert verdict.compared.calls == len(archived)
