"""Who looks at the page: by the cookie of a browser, or by a token like any other client."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from streams.web.browser import check_addressed_locally, is_encrypted
from streams.web.doorkeeper import Doorkeeper
from streams.web.refused import RequestRefused
from streams.web.sessions import LONGEST_SECONDS, Session, Sessions, fingerprint
from streams.web.tokens import ANYBODY, PAGE, Token

COOKIE = "spendstream_session"


@dataclass(frozen=True, slots=True)
class Visitor:
    """``session`` None: no cookie was needed."""

    token: Token
    session: Session | None = None


class PageDoor:
    """Lets in who may look, and keeps the cookies of those who have signed in."""

    def __init__(self, doorkeeper: Doorkeeper, sessions: Sessions) -> None:
        self.doorkeeper = doorkeeper
        self._sessions = sessions

    def admit(self, request: web.Request) -> Visitor:
        """Raises RequestRefused: 401 without a token that is known, 403 without the scope page."""
        if not self.doorkeeper.demands_tokens:
            check_addressed_locally(request)
            return Visitor(ANYBODY)
        authorization = request.headers.get("Authorization")
        session = self._session(request) if authorization is None else None
        if session is None:
            return Visitor(self.doorkeeper.admit(authorization, PAGE))
        token = self.doorkeeper.holder(lambda one: fingerprint(one.sha256) == session.fingerprint)
        if token is None or PAGE not in token.scopes:
            raise RequestRefused(
                401,
                "token_unknown",
                "the token that you signed in with is not for the page any more",
                {"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return Visitor(token, session)

    def sign_in(self, request: web.Request, response: web.Response, token: Token) -> None:
        """Give the browser its cookie."""
        self._set(request, response, self._sessions.begin(token.sha256))

    def renew(self, request: web.Request, response: web.Response, visitor: Visitor) -> None:
        """Note in the cookie, if there is one, that it was used."""
        if visitor.session is None:
            return
        if (cookie := self._sessions.renewed(visitor.session)) is not None:
            self._set(request, response, cookie)

    def sign_out(self, request: web.Request, response: web.Response) -> None:
        """Take the cookie away, and let nobody in with it."""
        if (session := self._session(request)) is not None:
            self._sessions.end(session)
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")

    def _session(self, request: web.Request) -> Session | None:
        cookie = request.cookies.get(COOKIE)
        return None if cookie is None else self._sessions.read(cookie)

    def _set(self, request: web.Request, response: web.Response, cookie: str) -> None:
        response.set_cookie(
            COOKIE,
            cookie,
            path="/",
            max_age=LONGEST_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=is_encrypted(request),
        )
