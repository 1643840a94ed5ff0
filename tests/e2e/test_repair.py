"""What the meter cannot see is found by reconciliation, explained by the log, repaired once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from schemas.usage import UsageEvent
from schemas.wire import encode
from sinks.clickhouse import ClickHouse
from streams.stack.backlog import wait_until_empty
from tests.support.events import call
from tests.support.running_stack import RunningStack
from tests.support.stores import publish_usage

pytestmark = pytest.mark.slow

EVENTS = 40
TWICE = range(7, 12)
GONE = range(20, 23)
PRICED = {"provider": "openai", "model": "gpt-4o-mini"}
PICO_PER_TOKEN = 150_000
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def value(number: int) -> bytes:
    fields = call(f"event-{number}", f"team-{number % 3}", 100 + number, **PRICED)
    return encode(UsageEvent(**fields | {"occurred_at": AT}))


@pytest.fixture(scope="module")
def damaged(stack: RunningStack) -> RunningStack:
    """Events of partition 0 that came again on partition 1, and others that the archive lost."""

    async def publish() -> None:
        for partition, numbers in ((0, range(EVENTS)), (1, TWICE)):
            await publish_usage(stack.settings, map(value, numbers), partition)
            left = await wait_until_empty(stack.settings, 30)
            assert left.empty, left

    asyncio.run(publish())
    connection = ClickHouse(stack.settings.clickhouse)
    ids = ", ".join(f"'event-{number}'" for number in GONE)
    connection.command(f"DELETE FROM usage_events WHERE event_id IN ({ids})")
    connection.close()
    return stack


def totals(stack: RunningStack) -> tuple[int, int]:
    ((calls, cost),) = stack.query("SELECT sum(calls), sum(cost) FROM spend")
    return int(calls), int(cost.scaleb(12))


def test_each_difference_is_named_with_its_place_and_its_cause(damaged):
    once = sum(100 + number for number in range(EVENTS))
    again = sum(100 + number for number in TWICE)
    assert totals(damaged) == (EVENTS + len(TWICE), (once + again) * PICO_PER_TOKEN)

    done = damaged.run("reconcile")
    assert done.returncode == 1
    assert done.stdout.startswith("reconcile: NOT OK")
    assert "5 events came again" in done.stdout
    assert "event-7 (also at " in done.stdout
    assert "missing archive rows: 3 events are in the log" in done.stdout
    assert "event-20, event-21, event-22" in done.stdout
    assert "--repair corrects" in done.stdout
    assert totals(damaged) == (EVENTS + len(TWICE), (once + again) * PICO_PER_TOKEN)


def test_repair_makes_all_copies_equal_and_repairing_again_changes_nothing(damaged):
    once = EVENTS, sum(100 + number for number in range(EVENTS)) * PICO_PER_TOKEN
    done = damaged.run("reconcile", "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "events of the log were archived again" in done.stdout
    assert "adjustments were appended" in done.stdout
    assert "reconcile: OK" in done.stdout
    assert totals(damaged) == once
    assert damaged.query("SELECT uniqExact(event_id) FROM usage") == [(EVENTS,)]
    adjusted = damaged.query("SELECT count(), sum(calls) FROM adjusted_spend")
    assert adjusted[0][1] == -len(TWICE)

    done = damaged.run("reconcile", "--repair", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["repaired"] == []
    assert totals(damaged) == once
    assert damaged.query("SELECT count(), sum(calls) FROM adjusted_spend") == adjusted
    assert damaged.query("SELECT sum(restated_calls) FROM restated_spend") == [(EVENTS,)]
