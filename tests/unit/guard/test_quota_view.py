"""`GET /v1/quota` as the guard's web server answers it, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from streams.guard.app import create_app
from streams.guard.guard import Guard
from streams.settings import load_settings
from tests.support.ledger_rows import JOURNAL
from tests.support.quotas import definition, state

USED_UP = state("users", 100, allowed=False, valid_until="2999-01-01T00:00:00Z")


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    guard = Guard(load_settings(), JOURNAL, [], asyncio.Event())
    yield guard
    await guard.close()


@pytest.fixture
async def client(guard: Guard, tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    app = create_app(load_settings(), guard, tmp_path)
    async with TestClient(TestServer(await app.web.wsgi())) as client:
        yield client


def fill(guard: Guard) -> None:
    """What the guard would have read of the topic."""
    for record in (definition(), USED_UP):
        guard.quotas._table.take(record.key, record, record.as_of)
    guard.quotas._table.ready = True


async def test_a_guard_on_standby_answers_from_what_it_has_read(guard, client):
    fill(guard)
    assert not guard.ready
    async with client.get("/v1/quota?user=ann&team=search") as answer:
        body = await answer.json()
        assert (answer.status, answer.content_type) == (200, "application/json")
    assert (body["allowed"], body["remaining"], body["unit"]) == (False, "0", "USD")
    assert body["why"] == "users has a reason."
    async with client.get("/v1/quota", params={"user": "bob & son"}) as answer:
        assert (await answer.json())["remaining"] == "100"


async def test_a_guard_that_has_not_read_everything_says_so(guard, client):
    async with client.get("/v1/quota?user=ann") as answer:
        assert answer.status == 503
        assert "try again" in (await answer.json())["error"]


async def test_a_wrong_parameter_is_named_with_the_right_one(guard, client):
    fill(guard)
    async with client.get("/v1/quota?usr=ann") as answer:
        assert answer.status == 400
        right = "usr: a call has no such attribute; did you mean user?"
        assert (await answer.json()) == {"error": right}
