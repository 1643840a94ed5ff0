"""The daemon thread that hosts the courier on an event loop of its own.

Both emitters deliver from here: a caller's loop that is busy or gone does not hold up delivery, and
the courier may clear its loop of the producer's tasks, which it could not do on someone else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from typing import Any

from spendstream._courier import Courier
from spendstream._outbox import Outbox

_log = logging.getLogger("spendstream")


class _Loop(asyncio.SelectorEventLoop):
    """Resolves names in its own thread.

    The default does so in an executor, which refuses work once the interpreter has begun to exit:
    a script that ends right after its first `emit` could not connect any more.
    """

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
        self._loop = _Loop()
        self._delivery: asyncio.Task[None] | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="spendstream", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the delivery; wait for the thread up to ``timeout`` seconds. May be called twice."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join(timeout)
        self._outbox.abandon()

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
        if not self._stopping:
            await self._courier.run()
