"""The guard's HTTP server, on a thread of its own: gateways do not wait for the guard.

To apply an entry may take the guard's thread a tenth of a second, and its loop does nothing else
meanwhile. Only that thread may look at the guard's state, so whoever asks for it waits. Quotas are
a table that can be read from any thread.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiohttp import web

from schemas.errors import UserError
from streams.guard import requests
from streams.guard.guard import Guard
from streams.guard.views import VIEWS, Answer
from streams.settings import Settings

SWITCH_SECONDS = 0.0005
"""How long one thread may keep the interpreter from another: at Python's 5 ms an answer waits for
them several times while the guard is at work."""
CLOSE_SECONDS = 1.0
"""For answers that are under way when the guard stops."""

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def serving_web(guard: Guard, settings: Settings) -> AsyncIterator[None]:
    """Answer until the block ends. To be entered on the guard's loop.

    Raises UserError where it cannot be listened on the address.
    """
    loop, switching = asyncio.new_event_loop(), sys.getswitchinterval()
    thread = threading.Thread(target=loop.run_forever, name="web", daemon=True)
    app = web_app(guard, asyncio.get_running_loop())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    thread.start()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        await _on(loop, _listen(runner, settings))
        yield
    finally:
        await _on(loop, runner.cleanup())
        sys.setswitchinterval(switching)
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()


def web_app(guard: Guard, loop: asyncio.AbstractEventLoop) -> web.Application:
    """Every path; ``loop`` is the guard's."""
    app = web.Application()
    app.router.add_get("/v1/quota", _quota(guard))
    for path, view in VIEWS.items():
        app.router.add_get(path, _view(guard, loop, view))
    for path, request_of in requests.REQUESTS.items():
        app.router.add_post(path, _request(guard, loop, request_of))
    return app


def _quota(guard: Guard) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        status, body = guard.quotas.answer(request.query.items())
        return web.Response(text=body, content_type="application/json", status=status)

    return handle


def _view(
    guard: Guard, loop: asyncio.AbstractEventLoop, view: Callable[[Guard], Answer]
) -> Handler:
    async def look() -> Answer:
        return view(guard)

    async def handle(_: web.Request) -> web.Response:
        status, body = await _on(loop, look())
        return web.json_response(body, status=status)

    return handle


def _request(
    guard: Guard,
    loop: asyncio.AbstractEventLoop,
    request_of: Callable[[Guard, bytes], Awaitable[Answer]],
) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        content = await request.read()
        answer = requests.answer(guard, request_of, request.content_type, content)
        status, body = await _on(loop, answer)
        return web.json_response(body, status=status)

    return handle


async def _listen(runner: web.AppRunner, settings: Settings) -> None:
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.web_host, settings.web_port).start()
    except OSError as error:
        raise UserError(
            f"{settings.web_host}:{settings.web_port}: {error.strerror or error}; "
            "set SPENDSTREAM_WEB_PORT to a free port"
        ) from error


async def _on(loop: asyncio.AbstractEventLoop, body: Coroutine[Any, Any, T]) -> T:
    """The body's outcome; it runs on the loop of another thread."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(body, loop))
