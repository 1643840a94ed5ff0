"""Who has signed in with a browser: a signed cookie, so that no process has to remember anybody.

It says which token it is of, since when, and when it was last used; never the token. Its end is
that of its token, of the idle time, of a day at work, or of signing out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

IDLE_SECONDS = 2 * 3600
"""A browser that was left alone for so long has to sign in again..."""
LONGEST_SECONDS = 12 * 3600
"""...and any browser after so long: a cookie that was stolen is of no use on the next day."""
RENEW_SECONDS = 60
"""The cookie is not written anew for every request: a page asks for itself every few seconds."""

_FORM = struct.Struct(">16s32sQQ")
"""Id of the session, fingerprint of its token, begun and last used (seconds since 1970)."""
_SIGNATURE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that has signed in. Times are in seconds since 1970."""

    session: bytes
    fingerprint: bytes
    begun: int
    used: int


class Sessions:
    """Makes cookies and reads them. Processes behind one address need the same ``secret``; without
    one it is made up, and everybody signs in again after a restart."""

    def __init__(self, secret: str | None = None, clock: Callable[[], float] = time.time) -> None:
        key = secrets.token_bytes(32) if secret is None else secret.encode()
        self._key = hashlib.sha256(b"spendstream session\0" + key).digest()
        self._clock = clock
        self._ended: dict[bytes, int] = {}

    def begin(self, digest: str) -> str:
        """The cookie of a browser that has just shown the token of this hash."""
        now = int(self._clock())
        return self._sealed(Session(secrets.token_bytes(16), fingerprint(digest), now, now))

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie of ours that still holds."""
        try:
            sealed = base64.b64decode(cookie, altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        body, signature = sealed[:-_SIGNATURE_BYTES], sealed[-_SIGNATURE_BYTES:]
        if len(body) != _FORM.size or not hmac.compare_digest(signature, self._signature(body)):
            return None
        session = Session(*_FORM.unpack(body))
        now = self._clock()
        if now - session.used > IDLE_SECONDS or now - session.begun > LONGEST_SECONDS:
            return None
        return None if session.session in self._ended else session

    def renewed(self, session: Session) -> str | None:
        """The cookie as of now; None where the one that was read is new enough."""
        now = int(self._clock())
        if now - session.used < RENEW_SECONDS:
            return None
        return self._sealed(replace(session, used=now))

    def end(self, session: Session) -> None:
        """Nobody gets in with it any more, here: another process knows only that it was deleted."""
        now = int(self._clock())
        self._ended = {one: end for one, end in self._ended.items() if end > now}
        self._ended[session.session] = session.begun + LONGEST_SECONDS

    def _sealed(self, session: Session) -> str:
        body = _FORM.pack(session.session, session.fingerprint, session.begun, session.used)
        return base64.urlsafe_b64encode(body + self._signature(body)).decode()

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")


def fingerprint(digest: str) -> bytes:
    """What a session says of its token: not even the hash that the tokens file holds."""
    return hashlib.sha256(digest.encode()).digest()
