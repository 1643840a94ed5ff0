"""The guard's web server: `GET /v1/quota`, on standby too, and while the guard is at work."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from schemas.errors import UserError
from streams.guard.guard import Guard
from streams.guard.web import serving_web, web_app
from streams.settings import Settings, load_settings
from streams.stack.ports import free_ports
from tests.support.ledger_rows import JOURNAL
from tests.support.quotas import definition, state

USED_UP = state("users", 100, allowed=False, valid_until="2999-01-01T00:00:00Z")


@pytest.fixture
def settings() -> Settings:
    (port,) = free_ports(1)
    return load_settings(web_port=port)


@pytest.fixture
async def guard(settings: Settings) -> AsyncIterator[Guard]:
    guard = Guard(settings, JOURNAL, [], asyncio.Event())
    yield guard
    await guard.close()


@pytest.fixture
async def client(guard: Guard) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(web_app(guard, asyncio.get_running_loop()))) as client:
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


async def test_gateways_do_not_wait_for_a_guard_that_is_at_work(guard, settings):
    fill(guard)
    said: list[tuple[int, bool]] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(settings.web_host, settings.web_port, timeout=10)
        connection.request("GET", "/v1/quota?user=ann")
        answer = connection.getresponse()
        said.append((answer.status, json.loads(answer.read())["allowed"]))
        connection.close()

    async with serving_web(guard, settings):
        gateway = threading.Thread(target=ask)
        gateway.start()
        gateway.join()  # nothing else happens on the guard's loop meanwhile
        assert said == [(200, False)]


async def test_whoever_asks_for_the_guards_state_gets_it_from_the_guards_thread(guard, settings):
    def ask() -> tuple[int, Any]:
        connection = http.client.HTTPConnection(settings.web_host, settings.web_port, timeout=10)
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, body

    async with serving_web(guard, settings):
        assert await asyncio.to_thread(ask) == (503, {"ready": False, "undelivered": 0})


async def test_a_port_that_is_taken_is_named_with_the_setting(guard, settings):
    async with serving_web(guard, settings):
        with pytest.raises(UserError, match=f"{settings.web_port}: .*SPENDSTREAM_WEB_PORT"):
            async with serving_web(guard, settings):
                pytest.fail("it listens where another one does")
