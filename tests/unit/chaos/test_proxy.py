"""What the fault suite puts between the stages and ClickHouse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.chaos.proxy import FaultProxy, Trap, inserted_table
from tests.chaos.waiting import LOOPBACK, free_ports

INSERT = {"query": "INSERT INTO spend FORMAT Arrow"}


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        (b"INSERT INTO spend FORMAT Arrow", "spend"),
        (b" insert into `default`.`ledger_progress` (a) VALUES", "ledger_progress"),
        (b"SELECT 1", None),
        (b"SELECT 'INSERT INTO spend'", None),
    ],
)
def test_an_insert_is_known_by_its_table(statement, table):
    assert inserted_table(statement) == table


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[FaultProxy, str, list[str]]]:
    """A proxy, the address of the stage `ledger-1` on it, and what the server has executed."""
    executed: list[str] = []

    async def execute(request: web.Request) -> web.Response:
        executed.append(request.query["query"])
        return web.Response(text="done")

    app = web.Application()
    app.router.add_post("/", execute)
    runner = web.AppRunner(app)
    await runner.setup()
    server, port = free_ports(2)
    await web.TCPSite(runner, LOOPBACK, server).start()
    proxy = FaultProxy(f"http://{LOOPBACK}:{server}")
    await proxy.start({"ledger-1": port})
    try:
        yield proxy, f"http://{LOOPBACK}:{port}/", executed
    finally:
        await proxy.stop()
        await runner.cleanup()


async def insert(address: str) -> int:
    async with aiohttp.ClientSession() as session, session.post(address, params=INSERT) as answer:
        return answer.status


async def test_it_hands_on_and_knows_who_wrote():
    async with proxied() as (proxy, address, executed):
        assert await insert(address) == 200
        assert (executed, proxy.last_insert) == ([INSERT["query"]], {"spend": "ledger-1"})


async def test_a_trap_lets_the_server_execute_and_gives_no_answer():
    async with proxied() as (proxy, address, executed):
        asked: list[str] = []
        trap = proxy.trap(Trap("spend", times=2, spring=asked.append))
        for count in (1, 2):
            with pytest.raises(aiohttp.ClientError):
                await insert(address)
            assert len(executed) == count
        assert trap.sprung.is_set()
        assert asked == ["ledger-1", "ledger-1"]
        assert await insert(address) == 200


async def test_a_refusal_is_over_when_it_is_over():
    async with proxied() as (proxy, address, executed):
        await proxy.set_mode("refuse")
        with pytest.raises(aiohttp.ClientConnectorError):
            await insert(address)
        await proxy.set_mode("error")
        assert await insert(address) == 500
        await proxy.set_mode("pass")
        assert await insert(address) == 200
        assert len(executed) == 1
