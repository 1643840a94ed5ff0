"""The HTTP server: routes with their scopes, and what every answer has in common."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

from aiohttp import web
from aiohttp.http import HttpProcessingError

from schemas.errors import UserError
from streams.metrics import HTTP_REQUEST
from streams.settings import PREFIX
from streams.web.doorkeeper import Doorkeeper
from streams.web.openapi import document
from streams.web.refused import RequestRefused, busy
from streams.web.route import Handler, Route, as_json
from streams.web.tokens import ANYBODY, Token

log = logging.getLogger(__name__)

MAX_REQUESTS = 256
"""At once. Each may hold a body of a mebibyte while it arrives."""
CLOSE_SECONDS = 12.0
"""For answers that are under way when the stage stops: longer than Kafka is given to acknowledge,
and less than a supervisor waits."""

_server_log = logging.getLogger(f"{__name__}.server")
_server_log.addFilter(lambda record: not _is_bad_http(record))

_Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


def web_app(routes: Sequence[Route], doorkeeper: Doorkeeper) -> web.Application:
    """Every route, `GET /` and `GET /v1/openapi.json`; to be served by `serving`."""
    app = web.Application(middlewares=[_Turnstile(routes).answering])
    for route in (*routes, *_about(routes, doorkeeper)):
        app.router.add_route(route.method, route.path, _admitted(route, doorkeeper))
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Answer until the block ends, and end what is under way; the port. Port 0 finds one.

    Raises UserError where it cannot be listened on the address.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_server_log,
        shutdown_timeout=CLOSE_SECONDS,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise UserError(
                f"{host}:{port}: {error.strerror or error}; set {PREFIX}INGEST_HOST and "
                f"{PREFIX}INGEST_PORT to a free address of this machine"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _is_bad_http(record: logging.LogRecord) -> bool:
    """True for what says that bytes were no HTTP: it quotes them, and a token may be in them."""
    error = record.exc_info[1] if record.exc_info else None
    return isinstance(error, HttpProcessingError)


def _admitted(route: Route, doorkeeper: Doorkeeper) -> _Answering:
    async def handle(request: web.Request) -> web.StreamResponse:
        token = ANYBODY
        if route.scope is not None:
            token = doorkeeper.admit(request.headers.get("Authorization"), route.scope)
        return await route.handler(request, token)

    return handle


def _about(routes: Sequence[Route], doorkeeper: Doorkeeper) -> list[Route]:
    """What says what is here; nobody needs a token for it."""
    release = version("spendstream-server")
    openapi = document(routes, release, with_tokens=doorkeeper.demands_tokens)
    here = {
        "service": "spendstream",
        "version": release,
        "openapi": "/v1/openapi.json",
        "routes": [f"{route.method} {route.path}" for route in routes],
    }
    return [
        Route("GET", "/", _constant(here)),
        Route("GET", "/v1/openapi.json", _constant(openapi)),
    ]


def _constant(body: object) -> Handler:
    async def handle(_: web.Request, __: Token) -> web.Response:
        return web.json_response(body)

    return handle


class _Turnstile:
    """Lets so many requests in at once, times them, and words what they could not be given.

    Those of ``lasting`` routes are neither counted nor timed: they stay for hours.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._lasting = frozenset(route.path for route in routes if route.lasting)
        self._worded = {route.path: route.worded for route in routes}
        self._inside = 0

    @web.middleware
    async def answering(self, request: web.Request, handler: _Answering) -> web.StreamResponse:
        """The answer of a request, whatever comes of it."""
        if request.path in self._lasting:
            return await self._answer(request, handler)
        started = time.perf_counter()
        self._inside += 1
        try:
            response = await self._answer(request, handler)
        finally:
            self._inside -= 1
        HTTP_REQUEST.labels(str(response.status)).observe(time.perf_counter() - started)
        return response

    async def _answer(self, request: web.Request, handler: _Answering) -> web.StreamResponse:
        try:
            self._check()
            return await handler(request)
        except RequestRefused as refused:
            return self._worded.get(request.path, as_json)(request, refused)
        except web.HTTPException as other:
            return _plain(request, other)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            body = {"error": "a fault of ours; the log of the web stage says which", "code": "bug"}
            return web.json_response(body, status=500)

    def _check(self) -> None:
        if self._inside > MAX_REQUESTS:
            raise busy(f"{MAX_REQUESTS} requests are under way already")


def _plain(request: web.Request, other: web.HTTPException) -> web.Response:
    """404 and 405 in the form of all other errors."""
    headers = {"Allow": other.headers["Allow"]} if "Allow" in other.headers else None
    reason = other.reason.lower()
    body = {
        "error": f"{request.method} {request.path[:200]}: {reason}; GET / says what is here",
        "code": reason.replace(" ", "_"),
    }
    return web.json_response(body, status=other.status, headers=headers)
