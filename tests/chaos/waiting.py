"""Waiting in a loop, ports, and the error of what did not come."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
PAUSE_SECONDS = 0.2
PORTS = range(12_000, 20_000)
"""Below those that the kernel gives to outgoing connections: a port must be free again later."""


class Stuck(Exception):
    """Something did not happen in time. The message says what."""


@overload
async def until(
    what: str, look: Callable[[], Coroutine[Any, Any, T | None]], seconds: float = ...
) -> T: ...


@overload
async def until(what: str, look: Callable[[], T | None], seconds: float = ...) -> T: ...


async def until(what: str, look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Look until there is something true to see, and return it. Raises Stuck after ``seconds``."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        looked = look()
        seen = await looked if isinstance(looked, Coroutine) else looked
        if seen:
            return seen
        if loop.time() > deadline:
            raise Stuck(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(PAUSE_SECONDS)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().choice(PORTS)
        try:
            socket.create_server((LOOPBACK, port)).close()
        except OSError:
            continue
        if port not in found:
            found.append(port)
    return found
