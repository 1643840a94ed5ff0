"""Who asks, and whether they may: the `Authorization` header against the tokens file."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable
from pathlib import Path

from schemas.errors import UserError
from streams.settings import PREFIX, Settings
from streams.web.refused import RequestRefused
from streams.web.tokens import ANYBODY, Scope, Token, Tokens, read_tokens

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How long a token that was taken out of the file may still be used."""


class Doorkeeper:
    """The tokens of the last good version of the file; without a file everybody may do everything.

    Raises UserError where the file has a mistake.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._stamp = _stamp(path)
        self._tokens: Tokens | None = None if path is None else read_tokens(path)

    @property
    def demands_tokens(self) -> bool:
        """False where everybody may do everything."""
        return self._path is not None

    def admit(self, authorization: str | None, scope: Scope) -> Token:
        """Whose token it is. Raises RequestRefused: 401 without a known one, 403 without scope."""
        tokens = self._current()
        if tokens is None:
            return ANYBODY
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise RequestRefused(
                401,
                "token_missing",
                "a token is needed: send the header `Authorization: Bearer <token>`",
                {"WWW-Authenticate": "Bearer"},
            )
        token = tokens.holder(secret.strip())
        if token is None:
            raise RequestRefused(
                401,
                "token_unknown",
                "this token is not known here; ask for one of `spendstream tokens new`",
                {"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        if scope not in token.scopes:
            raise RequestRefused(
                403,
                "scope_missing",
                f"token {token.name} lacks the scope {scope}; it has {', '.join(token.scopes)}",
                {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )
        return token

    def holder(self, is_it: Callable[[Token], bool]) -> Token | None:
        """The token that this is true of, if there is one at the moment."""
        tokens = self._current()
        return next(filter(is_it, tokens.tokens), None) if tokens is not None else None

    def _current(self) -> Tokens | None:
        if self._path is None or self._clock() - self._looked < LOOK_SECONDS:
            return self._tokens
        self._looked = self._clock()
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return self._tokens
        self._stamp = stamp
        try:
            self._tokens = read_tokens(self._path)
        except UserError as error:
            log.warning("the tokens in force stay, as the changed file is wrong: %s", error)
        else:
            log.info("the tokens were changed: %d in force", len(self._tokens.tokens))
        return self._tokens


def doorkeeper_of(settings: Settings) -> Doorkeeper:
    """Raises UserError for a mistake in the file, and where everybody could write without one."""
    if settings.tokens is None and not is_loopback(settings.ingest_host):
        raise UserError(
            f"{PREFIX}INGEST_HOST is {settings.ingest_host}, where others can reach it: set "
            f"{PREFIX}TOKENS to a tokens file (`spendstream tokens new`), or listen on 127.0.0.1"
        )
    return Doorkeeper(settings.tokens)


def is_loopback(host: str) -> bool:
    """True where only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """Changes when the file does; None while there is none to look at, and reading says why."""
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
