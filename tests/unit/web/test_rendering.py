"""Pages are made a few at a time, and whoever comes too late or waits too long is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from reports.viewer import EVERYBODY, Viewer
from sinks.clickhouse import ClickHouse
from streams.settings import load_settings
from streams.stack.ports import free_ports
from streams.web import rendering
from streams.web.refused import RequestRefused
from streams.web.rendering import MOST_WAITING, THREADS, Rendering


@pytest.fixture
async def pages() -> AsyncIterator[Rendering]:
    """Of a ClickHouse that is away: nothing listens there."""
    (nobody,) = free_ports(1)
    made = Rendering(load_settings(clickhouse=f"http://127.0.0.1:{nobody}"))
    yield made
    made.close()


async def test_each_thread_asks_on_a_connection_of_its_own(pages: Rendering):
    together = threading.Barrier(THREADS, timeout=10)

    def question(clickhouse: ClickHouse) -> int:
        together.wait()
        return id(clickhouse)

    first = await asyncio.gather(*(pages.asked(question) for _ in range(THREADS)))
    again = await asyncio.gather(*(pages.asked(question) for _ in range(THREADS)))
    assert len(set(first)) == THREADS
    assert set(again) == set(first)


async def test_who_comes_when_too_many_wait_is_told_to_try_again(pages: Rendering):
    go_on = threading.Event()
    waiting = [
        asyncio.create_task(pages.asked(lambda _: go_on.wait(10))) for _ in range(MOST_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(RequestRefused) as caught:
        await pages.asked(lambda _: True)
    assert (caught.value.status, "Retry-After" in caught.value.headers) == (429, True)
    go_on.set()
    assert all(await asyncio.gather(*waiting))
    assert await pages.asked(lambda _: True)


async def test_what_takes_too_long_is_given_up_and_counts_until_it_ends(
    pages: Rendering, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rendering, "PAGE_SECONDS", 0.01)
    go_on = threading.Event()
    with pytest.raises(RequestRefused) as caught:
        await pages.asked(lambda _: go_on.wait(10))
    assert (caught.value.status, caught.value.code) == (503, "page_timeout")
    assert pages._waiting == 1
    go_on.set()


async def test_who_asks_for_the_same_page_at_once_shares_it_and_others_do_not(pages: Rendering):
    asked = [("/", {}, EVERYBODY)] * 3 + [("/", {}, Viewer.of("ada", ["risk"]))]
    tasks = [asyncio.create_task(pages.page(*one)) for one in asked]
    await asyncio.sleep(0)
    assert len(pages._under_way) == 2
    tasks[0].cancel()
    answers = await asyncio.gather(*tasks[1:])
    assert [one.status for one in answers] == [503] * 3, "who leaves takes it from nobody"
    assert answers[0] is answers[1]
    assert answers[0] is not answers[2]


async def test_a_database_that_is_away_is_told_in_a_line(pages: Rendering):
    with pytest.raises(RequestRefused) as caught:
        await pages.asked(lambda clickhouse: clickhouse.query("SELECT 1"))
    assert (caught.value.status, caught.value.code) == (503, "database_away")
