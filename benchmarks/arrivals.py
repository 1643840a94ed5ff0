"""A webhook's receiver that notes when each budget's alert was handed to it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from streams.stack.ports import LOOPBACK


@dataclass(slots=True)
class Arrivals:
    """``seen``: (team, percentage) to when it came, by the monotonic clock."""

    address: str = ""
    seen: dict[tuple[str, int], float] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        """Accept an alert."""
        now = time.monotonic()
        alert = json.loads(await request.read())
        if alert["rule"] == "budget" and alert["transition"] == "opened":
            self.seen.setdefault((alert["scope"]["team"], int(alert["threshold"])), now)
        return web.Response()


@asynccontextmanager
async def receiving() -> AsyncIterator[Arrivals]:
    """A receiver on a free port."""
    arrivals = Arrivals()
    app = web.Application()
    app.router.add_post("/hook", arrivals.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # aiohttp's way to learn it
    arrivals.address = f"http://{LOOPBACK}:{port}/hook"
    try:
        yield arrivals
    finally:
        await runner.cleanup()
