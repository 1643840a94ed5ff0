"""One thing that is answered, as the modules that answer hand it to `streams.web.app.web_app`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from streams.web.tokens import Scope, Token

Handler = Callable[[web.Request, Token], Awaitable[web.StreamResponse]]
"""Answers a request of whoever the token belongs to. May raise `RequestRefused`."""


@dataclass(frozen=True)
class Route:
    """``scope`` None: needs no token. ``operation``: its OpenAPI operation object; empty: the route
    is left out of the document. ``lasting``: its answers go on until the reader leaves."""

    method: str
    path: str
    handler: Handler
    scope: Scope | None = None
    operation: Mapping[str, Any] = field(default_factory=dict)
    lasting: bool = False
