"""Pages made in a few threads, so that those who send events do not wait for those who read."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from reports.page import Rendered, render
from reports.viewer import Viewer
from sinks.clickhouse import ClickHouse, ClickHouseError
from streams.settings import Settings
from streams.stores import clickhouse_reader
from streams.web.refused import RequestRefused, busy

log = logging.getLogger(__name__)

THREADS = 2
"""Each asks ClickHouse on a connection of its own. More would take the processor from events."""
MOST_WAITING = 16
"""Pages under way. Who comes then would wait for seconds: they are told to try again."""
PAGE_SECONDS = 30.0
"""For a page. ClickHouse answers in a fraction of a second, or something is wrong with it."""

T = TypeVar("T")
_Key = tuple[str, tuple[tuple[str, str], ...], Viewer]


class Rendering:
    """Asks ClickHouse as its reader. Who asks for the same page at the same time shares it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(THREADS, "page")
        self._mine = threading.local()
        self._connections: list[ClickHouse] = []
        self._under_way: dict[_Key, asyncio.Task[Rendered]] = {}
        self._waiting = 0

    async def page(self, path: str, query: Mapping[str, str], viewer: Viewer) -> Rendered:
        """The page as this viewer sees it. ``query`` may be a multidict. Raises RequestRefused."""
        key = (path, tuple(query.items()), viewer)
        making = self._under_way.get(key)
        if making is None:
            asked = self.asked(lambda clickhouse: render(clickhouse, path, query, viewer))
            making = self._under_way[key] = asyncio.create_task(asked)
            making.add_done_callback(lambda made: self._made(key, made))
        # One who leaves does not take the page from the others.
        return await asyncio.shield(making)

    async def asked(self, question: Callable[[ClickHouse], T]) -> T:
        """What a question to ClickHouse gives, in one of the threads.

        Raises RequestRefused where too much is under way, it fails, or takes too long.
        """
        if self._waiting >= MOST_WAITING:
            raise busy(f"{MOST_WAITING} pages are being made already")
        self._waiting += 1
        work = asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: question(self._connection())
        )
        # A thread cannot be broken off: it counts until it ends.
        work.add_done_callback(self._done)
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                return await asyncio.shield(work)
        except ClickHouseError as error:
            log.warning("the page could not ask ClickHouse: %s", error)
            raise RequestRefused(
                503,
                "database_away",
                "the database cannot be asked at the moment; try again",
                {"Retry-After": "5"},
            ) from error
        except TimeoutError:
            raise RequestRefused(
                503,
                "page_timeout",
                f"the database did not answer within {PAGE_SECONDS:.0f} s; try again",
                {"Retry-After": "5"},
            ) from None

    def close(self) -> None:
        """Give the connections back; what is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def _made(self, key: _Key, page: asyncio.Task[Rendered]) -> None:
        del self._under_way[key]
        _told(page)

    def _done(self, work: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        _told(work)

    def _connection(self) -> ClickHouse:
        """The connection of this thread."""
        known: ClickHouse | None = getattr(self._mine, "connection", None)
        if known is None:
            known = self._mine.connection = clickhouse_reader(self._settings)
            self._connections.append(known)
        return known


def _told(work: asyncio.Future[Any]) -> None:
    """Whoever waited for it was told what went wrong; where nobody is left, nobody need be."""
    if not work.cancelled():
        work.exception()
