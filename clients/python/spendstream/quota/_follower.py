"""The daemon thread that keeps quotas up to date, on an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import Any

from spendstream._courier import FIRST_BACKOFF, MAX_BACKOFF
from spendstream._worker import WorkerLoop
from spendstream.quota._records import Stamp
from spendstream.quota._source import Away, Source
from spendstream.quota._table import QuotaTable

_log = logging.getLogger("spendstream")

CLEAN_STOP = 1.0
"""Seconds for what a connection has left behind on the loop."""


class Follower:
    """Reads a source from construction until `stop`; ``table`` is what is known, whole.

    Each connection reads everything into a table of its own, which then takes the place of the one
    before: so what was removed meanwhile is gone.
    """

    def __init__(self, source: Source, shown: str, table: QuotaTable) -> None:
        self.table = table
        self.ready = threading.Event()
        if table.live:
            self.ready.set()
        self._source = source
        self._shown = shown
        self._loop = WorkerLoop()
        self._following: asyncio.Task[None] | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="spendstream-quotas", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End it; wait for the thread up to ``timeout`` seconds. May be called twice."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(timeout)

    def forsake(self) -> None:
        """Leave everything to the process that this one was forked from."""
        if not self._loop.is_closed():
            self._loop.forsake()

    def _cancel(self) -> None:
        if self._following is not None and not self._stopping:
            self._following.cancel()
        self._stopping = True

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._follow())
        except asyncio.CancelledError:
            _log.debug("quotas are not followed any more")
        except Exception:  # noqa: BLE001 - a thread's last resort: said in the log, and what is known grows stale
            _log.exception("quotas are not followed any more")

    async def _follow(self) -> None:
        self._following = asyncio.current_task()
        backoff, said = FIRST_BACKOFF, ""
        while not self._stopping:
            reading = _Reading(self)
            try:
                await self._source.read(reading)
            except Away as away:
                if reading.done:
                    backoff, said = FIRST_BACKOFF, ""
                if str(away) != said:
                    _log.warning("quotas cannot be read from %s, trying on: %s", self._shown, away)
                said = str(away)
            finally:
                await _clear()
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF)


class _Reading:
    """What one connection brings."""

    def __init__(self, follower: Follower) -> None:
        self.done = False
        self._follower = follower
        self._table = QuotaTable()

    def record(self, key: str, value: Any, stamp: Stamp | None) -> None:
        """Take a record, or that it is removed."""
        self._table.read(key, value, stamp)

    def caught_up(self) -> None:
        """From now on this is what is known."""
        self.done = True
        before, table = self._follower.table, self._table
        table.go_live(before.heard)
        self._follower.table = table
        self._follower.ready.set()
        _log.info("quotas: %d budgets, %d members", len(table.definitions), len(table.members))


async def _clear() -> None:
    """The loop is ours, so every other task on it is what the connection left behind."""
    strays = asyncio.all_tasks() - {asyncio.current_task()}
    for task in strays:
        task.cancel()
    if strays:
        await asyncio.wait(strays, timeout=CLEAN_STOP)
