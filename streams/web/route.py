"""One thing that is answered, as the modules that answer hand it to `streams.web.app.web_app`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from streams.web.refused import RequestRefused
from streams.web.tokens import Scope, Token

Handler = Callable[[web.Request, Token], Awaitable[web.StreamResponse]]
"""Answers a request of whoever the token belongs to. May raise `RequestRefused`."""

Wording = Callable[[web.Request, RequestRefused], web.Response]
"""The answer of a request that is refused, at the door or behind it."""


def as_json(_: web.Request, refused: RequestRefused) -> web.Response:
    """`{"error": …, "code": …}`."""
    return web.json_response(refused.as_json(), status=refused.status, headers=refused.headers)


@dataclass(frozen=True)
class Route:
    """``scope`` None: needs no token. ``operation``: its OpenAPI operation object; empty: the route
    is left out of the document. ``apart``: neither counted nor timed with those that take events,
    as its answers go on until the reader leaves, or it has bounds of its own.
    ``worded``: how a request that is refused is told."""

    method: str
    path: str
    handler: Handler
    scope: Scope | None = None
    operation: Mapping[str, Any] = field(default_factory=dict)
    apart: bool = False
    worded: Wording = as_json


@dataclass(frozen=True)
class Site:
    """What there is for browsers. ``home``: `/`, where others are told in JSON what is here.
    ``worded``: how they are told of what they cannot have."""

    home: Handler
    worded: Wording
