"""Quotas over a real broker: published by one guard, read and answered by every one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.quotas import MemberState
from schemas.topics import QUOTAS
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.guard.concern import AsOf
from streams.kafka import producer
from streams.quotas.quotas import Quotas
from streams.settings import Settings
from tests.support.ledger_rows import JOURNAL, accepted_entry, journal_row
from tests.support.quotas import stamp, state
from tests.support.stores import running_stores

pytestmark = pytest.mark.slow

USERS = {
    "name": "users",
    "each": "user",
    "limit": "10",
    "actions": [{"at": 80, "do": "degrade", "to": "balanced"}, {"at": 100, "do": "refuse"}],
}
EVERYBODY = {"name": "everybody", "limit": "1000"}


class Member:
    """A guard process's quotas, running; and a client of its own."""

    def __init__(self, settings: Settings) -> None:
        self.quotas = Quotas(settings)
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self.quotas.run(self._stop))

    def ask(self, **question: str) -> dict[str, Any]:
        status, body = self.quotas.answer(question.items())
        return {"status": status, **json.loads(body)}

    async def until(self, condition: Callable[[dict[str, Any]], bool], **question: str) -> None:
        async with asyncio.timeout(20):
            while not condition(self.ask(**question)):  # noqa: ASYNC110 - it comes from the broker
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        self._stop.set()
        await self._running


@asynccontextmanager
async def members(settings: Settings, count: int) -> AsyncIterator[list[Member]]:
    running = [Member(settings) for _ in range(count)]
    try:
        for one in running:
            await one.until(lambda answer: answer["status"] == 200)
        yield running
    finally:
        await asyncio.gather(*(one.end() for one in running))


def budgets(*budgets: dict[str, Any]) -> Budgets:
    return Budgets(BudgetBook.model_validate({"budgets": list(budgets)}))


def spend(budgets: Budgets, position: int, user: str, cost: int) -> AsOf:
    this_minute = datetime.now(UTC).replace(second=0, microsecond=0)
    row = journal_row(user=user, cost=Decimal(cost), minute=this_minute)
    budgets.apply(accepted_entry(position, row))
    return AsOf(JOURNAL, position)


async def send(settings: Settings, key: str, record: MemberState) -> None:
    sender = producer(settings)
    await sender.start()
    await sender.send_and_wait(QUOTAS, record.model_dump_json().encode(), key=key.encode())
    await sender.stop()


async def test_every_guard_answers_by_what_the_active_one_publishes(tmp_path: Path):
    async with running_stores(tmp_path) as settings:
        async with members(settings, 2) as (active, standby):
            watched = budgets(USERS, EVERYBODY)
            active.quotas.follow(watched, spend(watched, 5, "ann", 9))
            for guard in (active, standby):
                await guard.until(lambda answer: answer["degrade_to"] == "balanced", user="ann")
            assert standby.ask(user="bob")["remaining"] == "10"

            active.quotas.follow(watched, spend(watched, 6, "ann", 1))
            await standby.until(lambda answer: not answer["allowed"], user="ann")
            answer = standby.ask(user="ann")
            assert [share["budget"] for share in answer["budgets"]] == ["users", "everybody"]
            assert answer["budgets"][0]["as_of"]["position"] == 6

            # One that was active once, and does not know that it is not any more.
            late = state("users", 1, allowed=True, limit=10, as_of=stamp(5))
            await send(settings, late.key, late)
            mark = state("users", 7, {"user": "mark"}, valid_until="2999-01-01T00:00:00Z")
            await send(settings, mark.key, mark)
            await standby.until(lambda answer: answer["remaining"] == "93", user="mark")
            assert not standby.ask(user="ann")["allowed"]

        async with members(settings, 1) as (restarted,):
            assert not restarted.ask(user="ann")["allowed"]
            watched = budgets(EVERYBODY)
            restarted.quotas.follow(watched, spend(watched, 7, "ann", 10))
            await restarted.until(
                lambda answer: [one["budget"] for one in answer["budgets"]] == ["everybody"],
                user="ann",
            )

        async with members(settings, 1) as (last,):
            assert list(last.quotas._table.definitions) == ["budget:everybody"]
            assert list(last.quotas._table.members) == ["member:everybody:{}"]
