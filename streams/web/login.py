"""Signing in with a browser: a token is exchanged for a cookie, which can be given back."""

from __future__ import annotations

import logging
import math
from urllib.parse import parse_qsl

from aiohttp import web

from streams.web.body import read_body
from streams.web.browser import check_same_origin, see
from streams.web.guesses import Guesses
from streams.web.page_door import PageDoor
from streams.web.pages import own_path
from streams.web.refused import RequestRefused
from streams.web.route import Route
from streams.web.sheets import as_asked, login_form
from streams.web.tokens import PAGE, Token

log = logging.getLogger(__name__)

LONGEST_FORM = 8_192
"""Bytes. A token has 47."""
LOGIN, LOGOUT = "/login", "/logout"


class Login:
    """`/login` and `/logout`."""

    def __init__(self, door: PageDoor, guesses: Guesses | None = None) -> None:
        self._door = door
        self._guesses = guesses or Guesses()

    def routes(self) -> list[Route]:
        """The form, what it sends, and the way out."""
        return [
            Route("GET", LOGIN, self._form, worded=as_asked, apart=True),
            Route("POST", LOGIN, self._sign_in, worded=as_asked, apart=True),
            Route("POST", LOGOUT, self._sign_out, worded=as_asked, apart=True),
        ]

    async def _form(self, request: web.Request, _: Token) -> web.Response:
        after = own_path(request.query.get("next", "/"))
        try:
            self._door.admit(request)
        except RequestRefused as refused:
            if refused.status == 401:
                return login_form(after)
            raise
        return see(after)

    async def _sign_in(self, request: web.Request, _: Token) -> web.Response:
        check_same_origin(request)
        sent = await read_form(request)
        after, secret = own_path(sent.get("next", "/")), sent.get("token", "").strip()
        address = request.remote or ""
        if wait := math.ceil(self._guesses.wait(address)):
            words = f"Too many wrong tokens came from your address. Try again in {wait} s."
            return login_form(after, words, status=429, wait=wait)
        try:
            token = self._door.doorkeeper.admit(f"Bearer {secret}", PAGE)
        except RequestRefused as refused:
            if refused.status == 403:
                words = "This token is known, but not for the page: it lacks the scope page."
                return login_form(after, words, status=403)
            self._guesses.wrong(address)
            log.warning("somebody at %s tried to sign in with a wrong token", address)
            words = "This token is not known here. Paste all of it, from sps_ on."
            return login_form(after, words, status=401)
        response = see(after)
        self._door.sign_in(request, response, token)
        log.info("%s has signed in", token.name)
        return response

    async def _sign_out(self, request: web.Request, _: Token) -> web.Response:
        check_same_origin(request)
        response = see(LOGIN)
        self._door.sign_out(request, response)
        return response


async def read_form(request: web.Request) -> dict[str, str]:
    """What a form sent, the last value of each field. Raises RequestRefused."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise RequestRefused(
            415,
            "unsupported_media_type",
            f"content-type {request.content_type[:80]!r}: this is posted by a form, as "
            "application/x-www-form-urlencoded",
        )
    body = await read_body(request, LONGEST_FORM)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise RequestRefused(400, "unreadable_body", "the form cannot be read") from None
