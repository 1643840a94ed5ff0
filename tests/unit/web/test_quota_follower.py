"""The client's `Quotas` over HTTP, against a real server that goes away and comes back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import spendstream

from schemas.quotas import Heartbeat, Record
from streams.stack.ports import free_ports
from streams.web.app import serving, web_app
from streams.web.doorkeeper import Doorkeeper
from streams.web.quota_feed import QuotaFeed
from tests.support.quotas import definition, stamp, state

USED_UP = state("users", 100, allowed=False, valid_until="2999-01-01T00:00:00Z")


def beat() -> Heartbeat:
    return Heartbeat(as_of=stamp().model_copy(update={"at": datetime.now(UTC)}))


@asynccontextmanager
async def server(
    port: int, *records: Record, tokens: Path | None = None
) -> AsyncIterator[QuotaFeed]:
    feed = QuotaFeed()
    for record in records:
        feed.table.take(record.key, record, record.as_of)
    feed.table.ready = True
    async with serving(web_app([feed.route()], Doorkeeper(tokens)), "127.0.0.1", port):
        yield feed
        feed.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0.01)


@pytest.fixture
def port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture
def quotas(port: int):
    with spendstream.Quotas(f"http://127.0.0.1:{port}", token="sps_gate") as quotas:
        yield quotas


async def test_what_was_removed_while_the_server_was_away_is_gone(port, quotas):
    assert not quotas.ready
    decision = quotas.decide(user="ann")
    assert (decision.allowed, decision.known) == (True, False)
    assert decision.why == (
        f"Quotas were not read from http://127.0.0.1:{port} yet; "
        "calls are allowed meanwhile (fail=open)."
    )
    async with server(port, definition(), USED_UP, beat()):
        assert await asyncio.to_thread(quotas.wait_ready, 20)
        decision = quotas.decide(user="ann", team=None)
        assert (decision.allowed, decision.known, decision.budget) == (False, True, "users")
        assert decision.why == "users has a reason."
    # Nobody is asked meanwhile.
    assert not quotas.decide(user="ann").allowed
    async with server(port, definition(), beat()):
        await until(lambda: quotas.decide(user="ann").allowed)
        assert quotas.decide(user="ann").why == "Nothing is used of $100 (budget users)."


async def test_a_token_that_is_refused_is_said_in_the_log_without_it(
    port, quotas, tokens_file, caplog
):
    tokens_file.write_text(tokens_file.read_text().replace("[quota]", "[events]"))
    async with server(port, tokens=tokens_file):
        await until(lambda: "lacks the scope quota" in caplog.text)
    assert "sps_gate" not in caplog.text
    assert not quotas.ready


async def test_after_close_nothing_is_known(port, quotas):
    async with server(port, definition(), USED_UP, beat()):
        assert await asyncio.to_thread(quotas.wait_ready, 20)
        quotas.close()
        decision = quotas.decide(user="ann")
        assert (decision.known, decision.allowed) == (False, True)


@pytest.mark.slow
async def test_a_forked_child_answers_at_once_and_follows_by_itself(port):
    script = f"""
import os, threading, spendstream
pause = threading.Event()
quotas = spendstream.Quotas("http://127.0.0.1:{port}", fail="closed")
assert quotas.wait_ready(20)
child = os.fork()
allowed = quotas.decide(user="ann").allowed
print("child" if child == 0 else "parent", allowed, flush=True)
while quotas.decide(user="ann").allowed == allowed:
    pause.wait(0.05)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
quotas.close()
"""
    async with server(port, definition(), USED_UP, beat()) as feed:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        said = {(await process.stdout.readline()).decode() for _ in range(2)}
        assert said == {"child False\n", "parent False\n"}
        assert len(feed._readers) >= 1
        feed.table.take(USED_UP.key, None, stamp(8))
        assert await asyncio.wait_for(process.wait(), 20) == 0
