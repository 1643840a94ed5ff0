"""The emitter for asyncio code: waiting is awaited, `emit` stays a plain call."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from spendstream._meter import CLOSE_TIMEOUT, Meter
from spendstream._stats import Stats


class AsyncEmitter(Meter):
    __doc__ = Meter.__doc__

    async def flush(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Wait up to ``timeout`` seconds; True if all that was pending is acknowledged."""
        loop = asyncio.get_running_loop()
        settled = asyncio.Event()

        def done() -> None:
            with contextlib.suppress(RuntimeError):  # the caller's loop has ended: nobody waits
                loop.call_soon_threadsafe(settled.set)

        flush = self._outbox.flush(done)
        try:
            async with asyncio.timeout(timeout):
                await settled.wait()
        except TimeoutError:
            return False
        return flush.acknowledged

    async def aclose(self, timeout: float = CLOSE_TIMEOUT) -> Stats:
        """Deliver what is pending within ``timeout`` seconds, then stop.

        What is left stays in the spool, or is dropped where there is none. Returns the final
        counts, at most half a second after the timeout. An emitter that was not
        closed closes when the interpreter exits. May be called again.
        """
        self._outbox.close()
        await self.flush(timeout)
        return await asyncio.to_thread(self._stop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
