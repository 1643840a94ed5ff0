"""The daemon thread that hosts the courier on an event loop of its own.

Both emitters deliver from here: a caller's loop that is busy or gone does not hold up delivery, and
the courier may clear its loop of the producer's tasks, which it could not do on someone else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import selectors
import socket
import threading
from typing import Any

from spendstream._courier import Courier
from spendstream._outbox import Outbox

_log = logging.getLogger("spendstream")

TEND_SECONDS = 1.0
"""Between two visits to the spool: what a power failure may cost. Each one may be an fsync."""

_forsaken: list[asyncio.AbstractEventLoop] = []
"""Loops of the process that this one was forked from; closing one would change it there."""


class WorkerLoop(asyncio.SelectorEventLoop):
    """Resolves names in its own thread.

    The default does so in an executor, which refuses work once the interpreter has begun to exit:
    a script that ends right after its first `emit` could not connect any more.
    """

    def __init__(self) -> None:
        self._watched = selectors.DefaultSelector()
        super().__init__(self._watched)
        # In debug mode asyncio would warn of names, certificates and fsync: nobody else waits here.
        self.slow_callback_duration = float("inf")

    def forsake(self) -> None:
        """Let go of the files and connections, which are the parent's, without closing them there.

        What is put in their place keeps their numbers from being given to other files.
        """
        _forsaken.append(self)
        shared = [*self._watched.get_map()]
        if isinstance(self._watched, selectors.EpollSelector):
            shared.append(self._watched.fileno())
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in shared:
            if isinstance(descriptor, int):
                os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the name is asyncio's
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        return socket.getaddrinfo(host, port, family, type, proto, flags)


class Worker:
    """Runs a courier from construction until `stop`."""

    def __init__(self, courier: Courier, outbox: Outbox) -> None:
        self._courier = courier
        self._outbox = outbox
        self._loop = WorkerLoop()
        self._delivery: asyncio.Task[None] | None = None
        self._stopping = self._warned = False
        self._thread = threading.Thread(target=self._run, name="spendstream", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the delivery; wait for the thread up to ``timeout`` seconds. May be called twice."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(timeout)
        self._outbox.abandon()

    def forsake(self) -> None:
        """Leave everything to the process that this one was forked from."""
        self._loop.forsake()

    def _tend(self) -> None:
        self._loop.call_later(TEND_SECONDS, self._tend)
        try:
            self._outbox.tend()
        except OSError as error:
            if not self._warned:
                _log.warning("spooled usage events may not survive a power failure: %s", error)
            self._warned = True

    def _cancel(self) -> None:
        # Once only: a second cancellation would interrupt the courier while it clears up.
        if self._delivery is not None and not self._stopping:
            self._delivery.cancel()
        self._stopping = True

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._deliver())
        except asyncio.CancelledError:
            _log.debug("delivery stopped")
        except Exception:  # noqa: BLE001 - a thread's last resort: said in the log, and counted
            _log.exception("delivery of usage events has ended; further ones are dropped")
        finally:
            self._outbox.abandon()

    async def _deliver(self) -> None:
        self._delivery = asyncio.current_task()
        if self._outbox.needs_tending:
            self._loop.call_later(TEND_SECONDS, self._tend)
        if not self._stopping:
            await self._courier.run()
