"""Outcomes from the topic into ClickHouse: each once, whatever is read or written again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from schemas.outcome import checked_outcome, encode_outcome
from schemas.topics import OUTCOMES
from sinks.clickhouse import ClickHouse
from sinks.outcomes import Outcomes, Read, Reported
from streams.kafka import producer
from streams.landing.archive_stage import ArchiveStage
from streams.rating.pricebook import PriceBook
from streams.schema_registry import schema_lookup
from streams.settings import Settings
from streams.stores import clickhouse as connect
from tests.support.stores import running_stores
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SECONDS = 40.0


def outcome(outcome_id: str, value: str = "1", **changes: Any) -> dict[str, Any]:
    return {
        "outcome_id": outcome_id,
        "occurred_at": "2026-03-10T12:00:00.123456Z",
        "workflow": "run-7",
        "name": "resolved_ticket",
        "value": value,
    } | changes


def reported(fields: dict[str, Any], partition: int, offset: int, timestamp: int) -> Reported:
    return Reported(checked_outcome(fields), partition, offset, timestamp)


def values(clickhouse: ClickHouse) -> list[tuple[Any, ...]]:
    return [
        (name, f"{value.normalize():f}")
        for name, value in clickhouse.query(
            "SELECT outcome_id, value FROM reported_outcomes ORDER BY outcome_id"
        )
    ]


def test_the_first_record_of_an_id_wins_in_whatever_order_they_are_written(clickhouse):
    outcomes = Outcomes(clickhouse, "cluster/llm.outcomes")
    first = reported(outcome("a", "1"), 0, 5, 1000)
    same_time = reported(outcome("a", "2"), 0, 6, 1000)
    later = reported(outcome("a", "3"), 1, 0, 1001)
    for batch in ([later], [first, same_time], [same_time], [later, same_time]):
        outcomes.write(batch, {})
        clickhouse.command("OPTIMIZE TABLE outcomes FINAL")
    assert values(clickhouse) == [("a", "1")]


def test_every_field_of_an_outcome_is_there_as_it_was_sent(clickhouse):
    sent = outcome("a", "-0.000000000001", of="call-1", team="search", tags={"judge": "größer"})
    outcomes = Outcomes(clickhouse, "cluster/llm.outcomes")
    outcomes.write([reported(sent, 2, 9, -1)], {2: Read(9, refused=3)})
    names, (row,) = clickhouse.query_columns("SELECT * FROM reported_outcomes")
    found = dict(zip(names, row, strict=True))
    assert found["occurred_at"].isoformat() == "2026-03-10T12:00:00.123456"
    for name in ("outcome_id", "of", "workflow", "name", "team", "tags"):
        assert found[name] == sent[name], name
    assert (f"{found['value']:f}", found["use_case"]) == ("-0.000000000001", None)
    assert outcomes.next_offsets() == {2: 10}
    assert Outcomes(clickhouse, "another/llm.outcomes").next_offsets() == {}


@asynccontextmanager
async def sink(settings: Settings) -> AsyncIterator[None]:
    """The process of `sink archive`, in this one."""
    stop = asyncio.Event()
    stage = ArchiveStage(settings, PriceBook.load(), schema_lookup(settings))
    running = asyncio.create_task(stage.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, SECONDS)


async def until(what: str, condition: Any) -> None:
    await asyncio.to_thread(wait_until, what, condition, SECONDS)


async def test_what_is_on_the_topic_lands_once_also_when_it_is_read_again(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "streams.landing.outcomes")
    async with running_stores(tmp_path / "stack") as settings:
        connection = connect(settings)
        sender = producer(settings)
        await sender.start()
        try:
            for number in range(20):
                fields = outcome(f"o-{number:02}", str(number), workflow=f"run-{number}")
                one = checked_outcome(fields)
                key, value = one.key.encode(), encode_outcome(one)
                await sender.send_and_wait(OUTCOMES, value, key=key)
            await sender.send_and_wait(OUTCOMES, b'{"name": 7}', key=b"run-1")
            again = checked_outcome(outcome("o-01", "99", workflow="run-1"))
            await sender.send_and_wait(OUTCOMES, encode_outcome(again), key=b"run-1")
            expected = [(f"o-{number:02}", str(number)) for number in range(20)]

            def landed() -> bool:
                ((read,),) = connection.query(
                    "SELECT sum(through + 1) FROM "
                    "(SELECT max(through) AS through FROM outcome_progress GROUP BY partition)"
                )
                return int(read or 0) == 22

            async with sink(settings):
                await until("all outcomes are read", landed)
            assert values(connection) == expected
            assert connection.query("SELECT sum(refused) FROM outcome_progress") == [(1,)]
            assert "missing_field: outcome_id is required" in caplog.text
            # A database that has forgotten how far it is: everything is read again.
            connection.command("TRUNCATE TABLE outcome_progress")
            async with sink(settings):
                await until("all outcomes are read again", landed)
            assert values(connection) == expected
        finally:
            await sender.stop()
            connection.close()
