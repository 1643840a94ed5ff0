"""The page over HTTP: `/` and its neighbours, for browsers and for whoever has a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote, unquote, urlencode

from aiohttp import web
from markupsafe import escape

from reports.page import PATHS
from reports.viewer import EVERYBODY, Viewer
from streams.web.browser import html, is_encrypted, is_from_elsewhere, parts_of, see, wants_html
from streams.web.page_door import PageDoor, Visitor
from streams.web.refused import RequestRefused
from streams.web.rendering import Rendering
from streams.web.route import Route, Site
from streams.web.sheets import as_asked, opening
from streams.web.tokens import ANYBODY, Token
from streams.web.viewers import viewer_of

NOTICE = "spendstream_notice"
"""A cookie that is read once: what the next page says of what was just done."""
NOTICE_SECONDS = 30
_MAIN = '<main id="main" tabindex="-1">'
LONGEST_NOTICE = 300
HOME = "/"


class Pages:
    """What looks like a page is made here; who may see it, the door says."""

    def __init__(self, door: PageDoor, rendering: Rendering) -> None:
        self._door = door
        self._rendering = rendering

    def routes(self) -> list[Route]:
        """All but `/`, where other clients find what is here: see `site`."""
        return [
            Route("GET", path, self._answer, worded=as_asked, apart=True)
            for path in PATHS
            if path != HOME
        ]

    def site(self) -> Site:
        """What a browser finds at `/`, and how it is told what it cannot have."""
        return Site(self._answer, as_asked)

    async def _answer(self, request: web.Request, _: Token) -> web.StreamResponse:
        return await self.for_visitor(request, lambda visitor: self._page(request, visitor))

    async def for_visitor(
        self, request: web.Request, answer: Callable[[Visitor], Awaitable[web.Response]]
    ) -> web.Response:
        """The answer for who asks, or the way to sign in for a browser of nobody known."""
        try:
            visitor = self._door.admit(request)
        except RequestRefused as refused:
            if refused.status == 401 and wants_html(request) and request.method == "GET":
                return _to_login(request)
            raise
        response = await answer(visitor)
        self._door.renew(request, response, visitor)
        return response

    async def _page(self, request: web.Request, visitor: Visitor) -> web.Response:
        rendered = await self._rendering.page(request.path, request.query, seen_by(visitor.token))
        body, notice = rendered.html, request.cookies.get(NOTICE)
        if notice is not None and rendered.status == 200:
            body = body.replace(_MAIN, _MAIN + _notice(notice), 1)
        headers = {"Retry-After": "5"} if rendered.status == 503 else {}
        response = html(body, rendered.status, headers)
        if notice is not None:
            response.del_cookie(NOTICE, path="/", httponly=True, samesite="Strict")
        return response


def seen_by(token: Token) -> Viewer:
    """Who looks; nobody in particular where no tokens are demanded."""
    return EVERYBODY if token is ANYBODY else viewer_of(token)


def own_path(url: str) -> str:
    """A path and query of ours, `/` for anything else: nobody is led elsewhere by a form."""
    parts = parts_of(url)
    if parts.scheme or parts.netloc or parts.path not in PATHS or "\\" in url:
        return HOME
    return parts._replace(fragment="").geturl()


def with_notice(request: web.Request, url: str, words: str) -> web.Response:
    """Go and look there, where these words are said first."""
    response = see(url)
    response.set_cookie(
        NOTICE,
        quote(words[:LONGEST_NOTICE]),
        path="/",
        max_age=NOTICE_SECONDS,
        httponly=True,
        samesite="Strict",
        secure=is_encrypted(request),
    )
    return response


def _notice(cookie: str) -> str:
    words = escape(unquote(cookie)[:LONGEST_NOTICE])
    return f'\n<p class="notice done" role="status">{words}</p>'


def _to_login(request: web.Request) -> web.Response:
    if is_from_elsewhere(request):
        # A browser that follows a link of another site, of a message say, keeps its cookie back:
        # asked again by a page of ours, it sends it.
        return opening(request.path_qs)
    after = own_path(request.path_qs)
    return see("/login" if after == HOME else f"/login?{urlencode({'next': after})}")
