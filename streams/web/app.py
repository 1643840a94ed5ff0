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
from streams.web.browser import wants_html
from streams.web.doorkeeper import Doorkeeper
from streams.web.openapi import document
from streams.web.refused import RequestRefused, busy
from streams.web.route import Handler, Route, Site, as_json
from streams.web.tokens import ANYBODY, Token

log = logging.getLogger(__name__)

MAX_REQUESTS = 256
"""At once. Each may hold a body of a mebibyte while it arrives."""
CLOSE_SECONDS = 12.0
"""For answers that are under way when the stage stops: longer than Kafka is given to acknowledge,
and less than a supervisor waits."""

HOME = "/"

_server_log = logging.getLogger(f"{__name__}.server")
_server_log.addFilter(lambda record: not _is_bad_http(record))

_Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


def web_app(
    routes: Sequence[Route], doorkeeper: Doorkeeper, site: Site | None = None
) -> web.Application:
    """Every route, `GET /`, `/v1` and `/v1/openapi.json`; to be served by `serving`."""
    app = web.Application(middlewares=[_Turnstile(routes, site).answering])
    for route in (*routes, *_about(routes, doorkeeper, site)):
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


def _about(routes: Sequence[Route], doorkeeper: Doorkeeper, site: Site | None) -> list[Route]:
    """What says what is here; nobody needs a token for it."""
    release = version("spendstream-server")
    openapi = document(routes, release, with_tokens=doorkeeper.demands_tokens)
    here = {
        "service": "spendstream",
        "version": release,
        "openapi": "/v1/openapi.json",
        "routes": [f"{route.method} {route.path}" for route in routes],
    }
    index = _constant(here)
    return [
        Route("GET", HOME, index if site is None else _for_browsers(site.home, index)),
        Route("GET", "/v1", index),
        Route("GET", "/v1/openapi.json", _constant(openapi)),
    ]


def _constant(body: object) -> Handler:
    async def handle(_: web.Request, __: Token) -> web.Response:
        return web.json_response(body)

    return handle


def _for_browsers(page: Handler, other: Handler) -> Handler:
    async def handle(request: web.Request, token: Token) -> web.StreamResponse:
        return await (page if wants_html(request) else other)(request, token)

    return handle


class _Turnstile:
    """Lets so many requests in at once, times them, and words what they could not be given.

    Those of routes that are ``apart`` are neither counted nor timed: they stay for hours, or are
    for readers, of whom those who send must not notice anything.
    """

    def __init__(self, routes: Sequence[Route], site: Site | None) -> None:
        self._apart = {route.path for route in routes if route.apart}
        if site is not None:
            self._apart.add(HOME)
        self._worded = {route.path: route.worded for route in routes}
        self._elsewhere = as_json if site is None else site.worded
        self._inside = 0

    @web.middleware
    async def answering(self, request: web.Request, handler: _Answering) -> web.StreamResponse:
        """The answer of a request, whatever comes of it."""
        resource = request.match_info.route.resource
        if resource is not None and resource.canonical in self._apart:
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
            return self._worded.get(request.path, self._elsewhere)(request, refused)
        except web.HTTPException as other:
            return self._elsewhere(request, _plain(request, other))
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            bug = RequestRefused(500, "bug", "a fault of ours; the log of the web stage says which")
            return self._elsewhere(request, bug)

    def _check(self) -> None:
        if self._inside > MAX_REQUESTS:
            raise busy(f"{MAX_REQUESTS} requests are under way already")


def _plain(request: web.Request, other: web.HTTPException) -> RequestRefused:
    """404 and 405 in the form of all other errors."""
    headers = {"Allow": other.headers["Allow"]} if "Allow" in other.headers else {}
    reason = other.reason.lower()
    return RequestRefused(
        other.status,
        reason.replace(" ", "_"),
        f"{request.method} {request.path[:200]}: {reason}; GET /v1 says what is here",
        headers,
    )
