"""Running the guard's faust app in our own loop: clean starts, clean stops, honest exit codes.

faust's own worker hangs when the broker dies, and goes on when an agent fails; so it is not used.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from schemas.topics import JOURNAL
from sinks.channels import Channel
from streams.guard.app import create_app
from streams.guard.guard import Guard
from streams.guard.transport import GuardApp
from streams.guard.web import serving_web
from streams.health import Status, working
from streams.journal.tail import JOURNAL_PARTITION
from streams.kafka import cluster_id
from streams.lag import behind
from streams.settings import Settings
from streams.stage import Stopped, persist
from streams.work import ALIVE_SECONDS

log = logging.getLogger(__name__)

STOP_SECONDS = 3.0
"""faust's consumer thread cannot be interrupted while it joins a group or its broker is gone."""


class GuardStage:
    """One guard process; it guards while it has the journal's partition, else it is on standby."""

    def __init__(self, settings: Settings, channels: Sequence[Channel]) -> None:
        self._settings = settings
        self._channels = channels
        self._running: tuple[Guard, GuardApp] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; ends the process where faust does not let go.

        Raises the error that made it stop, and UserError where the web port is taken.
        """
        settings = self._settings
        with working("starting"):
            cluster = await persist(
                "reaching the broker", lambda: cluster_id(settings), stop, abandon=True
            )
        guard = _WatchedGuard(settings, f"{cluster}/{JOURNAL}", self._channels, stop)
        async with serving_web(guard, settings):
            app = create_app(settings, guard)
            self._running = guard, app
            await _serve(settings, guard, app, stop)

    def status(self) -> Status:
        """Ready while the state is loaded and followed."""
        if self._running is None:
            return Status(False, "reaching the broker")
        guard, app = self._running
        queued = {
            "deliveries": guard.notifier.delivering,
            "alert_records": guard.notifier.unrecorded,
        }
        consumer = getattr(getattr(app._consumer, "_thread", None), "_consumer", None)
        if not guard.ready or consumer is None:
            return Status(False, "on standby, or loading its state", queued=queued)
        due = guard.follower.at.position + 1
        return Status(True, "guarding", behind(consumer, {JOURNAL_PARTITION: due}), queued)


class _WatchedGuard(Guard):
    async def load(self, committed: Callable[[], Awaitable[int]]) -> None:
        """As the base class does; it may wait for the ledger, and everybody else waits for it."""
        with working("loading the state"):
            await super().load(committed)


async def _serve(settings: Settings, guard: Guard, app: GuardApp, stop: asyncio.Event) -> None:
    quotas = asyncio.create_task(_keep_quotas(guard, stop))
    starting = asyncio.create_task(app.start())
    crashed = asyncio.create_task(app._crashed.wait())
    stopping = asyncio.create_task(stop.wait())
    # It joins its group, for which a broker may wait until dead members are given up.
    with working("starting", limit=ALIVE_SECONDS + 2 * settings.session_timeout_ms / 1000):
        await asyncio.wait({starting, crashed, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not (starting.done() and starting.exception()):
        await asyncio.wait({crashed, stopping}, return_when=asyncio.FIRST_COMPLETED)
    failure = _failure(starting, app, guard)
    quotas.cancel()
    await asyncio.wait({quotas}, timeout=STOP_SECONDS)
    await guard.close()
    await _shut_down(app, starting, failure)
    for task in (crashed, stopping):
        task.cancel()
    await asyncio.gather(crashed, stopping, return_exceptions=True)
    if failure is not None:
        raise failure


async def _keep_quotas(guard: Guard, stop: asyncio.Event) -> None:
    """Read and publish quotas, on standby too. An unexpected error ends the process."""
    try:
        await guard.quotas.run(stop)
    except Stopped:
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
        guard.fail(error)


def _failure(starting: asyncio.Task[Any], app: GuardApp, guard: Guard) -> BaseException | None:
    if starting.done() and starting.exception() is not None:
        return starting.exception()
    return guard.failure or app.crash_reason


async def _shut_down(
    app: GuardApp, starting: asyncio.Task[Any], failure: BaseException | None
) -> None:
    # The consumer's thread may fail when it is cut off; that is no news any more.
    threading.excepthook = lambda args: log.debug("while stopping: %r", args.exc_value)
    ending = asyncio.create_task(app.stop())
    await asyncio.wait({ending}, timeout=STOP_SECONDS)
    if not ending.done() or not starting.done() or app.crashed:
        if failure is not None:
            log.error("the guard stops: %s", failure)
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0 if failure is None else 1)
    _release(app)


def _release(app: GuardApp) -> None:
    """Close the loop that was made for a consumer thread that never ran: nobody else does."""
    thread = getattr(app._consumer, "_thread", None)
    if thread is None or thread._thread_started.is_set() or thread.thread_loop.is_closed():
        return
    thread.thread_loop.close()
