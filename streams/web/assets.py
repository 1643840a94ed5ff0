"""`/assets/…`: what pages load. Their names have a hash in them, so browsers keep them for ever."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from reports.page import Asset
from reports.page import assets as page_assets
from schemas.errors import SpendstreamError
from streams.web.browser import HEADERS
from streams.web.refused import RequestRefused
from streams.web.route import Route
from streams.web.tokens import Token

log = logging.getLogger(__name__)

KEPT: Mapping[str, str] = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
    **HEADERS,
}


@dataclass(frozen=True, slots=True)
class _Packed:
    """An asset as it is sent: most browsers take a quarter of its bytes."""

    content_type: str
    plain: bytes
    packed: bytes


class Assets:
    """Made once, in a thread, when the stage starts: the charts' runtime takes some seconds, for
    which the first page does not wait. ``make`` is asked again where it failed."""

    def __init__(self, make: Callable[[], Mapping[str, Asset]] = page_assets) -> None:
        self._make = make
        self._making: asyncio.Task[Mapping[str, _Packed]] | None = None

    def begin(self) -> asyncio.Task[Mapping[str, _Packed]]:
        """Start to make them."""
        self._making = asyncio.create_task(asyncio.to_thread(self._pack))
        return self._making

    async def end(self) -> None:
        """Nobody needs them any more."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)

    def route(self) -> Route:
        """`GET /assets/<name>`. No token: they are the same for everybody, without any figure."""
        return Route("GET", "/assets/{name}", self._answer, apart=True)

    async def _answer(self, request: web.Request, _: Token) -> web.Response:
        asset = (await self._made()).get(request.path)
        if asset is None:
            raise RequestRefused(404, "not_found", f"{request.path[:200]}: there is no such asset")
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return _response(asset, asset.plain)
        response = _response(asset, asset.packed)
        response.headers["Content-Encoding"] = "gzip"
        return response

    async def _made(self) -> Mapping[str, _Packed]:
        making = self._making
        if making is None or (making.done() and making.exception()):
            making = self.begin()
        try:
            return await asyncio.shield(making)
        except SpendstreamError as error:
            log.warning("the assets of the page were not made: %s", error)
            raise RequestRefused(
                503, "assets_not_made", f"{error}; try again", {"Retry-After": "5"}
            ) from error

    def _pack(self) -> Mapping[str, _Packed]:
        return {
            url: _Packed(one.content_type, one.body, gzip.compress(one.body, mtime=0))
            for url, one in self._make().items()
        }


def _response(asset: _Packed, body: bytes) -> web.Response:
    charset = "utf-8" if asset.content_type.startswith("text/") else None
    return web.Response(body=body, headers=KEPT, content_type=asset.content_type, charset=charset)
