"""What carries events away: one interface for Kafka and HTTP, and what both do about trouble."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

_log = logging.getLogger("spendstream")

FIRST_BACKOFF = 0.1
MAX_BACKOFF = 2.0
"""Seconds between attempts: a server that is back is noticed soon, one that is away is not hammered
by every service."""

GATHER_SECONDS = 0.005
"""From the event that wakes the courier to its look at what there is by then. To wake it for every
event would take the interpreter from the caller each time, for longer than `emit` takes."""


class Courier(Protocol):
    """Takes events from an outbox and settles each. Runs on a loop of its own (see `Worker`)."""

    async def run(self) -> None:
        """Deliver until cancelled; then give up on what is still pending."""


class Trouble:
    """Says once in the log what holds up delivery, and when it is over; waits longer and longer."""

    def __init__(self, to: str) -> None:
        self._to = to
        self._said: set[str] = set()
        self._backoff = FIRST_BACKOFF

    def say(self, why: str) -> None:
        """Warn, unless this was said since the last success."""
        if why not in self._said:
            self._said.add(why)
            _log.warning("cannot send usage events to %s yet, trying on: %s", self._to, why)

    async def wait(self) -> None:
        """Let some time go by before the next attempt."""
        await asyncio.sleep(self._backoff)
        self._backoff = min(2 * self._backoff, MAX_BACKOFF)

    def over(self) -> None:
        """Something was delivered."""
        self._backoff = FIRST_BACKOFF
        if self._said:
            self._said.clear()
            _log.info("usage events are being sent to %s again", self._to)


def setter(event: asyncio.Event) -> Callable[[], None]:
    """A function that sets the event of the running loop, from any thread."""
    return partial(_set_from_any_thread, asyncio.get_running_loop(), event)


def words(error: BaseException) -> str:
    """An error in one line."""
    text = str(error)
    cause = f" ({error.__cause__})" if error.__cause__ else ""
    return f"{type(error).__name__}: {text}{cause}" if text else type(error).__name__


def _set_from_any_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it counted every event
        loop.call_soon_threadsafe(event.set)
