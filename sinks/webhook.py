"""Any HTTP receiver as a channel: the alert as JSON, signed as Standard Webhooks describes.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp

from schemas.alerts import Alert
from schemas.errors import SpendstreamError, UserError
from sinks.channels import (
    check_answer,
    digest_id,
    failures_as_delays,
    message_id,
    new_session,
    receiver_url,
)

TOLERANCE = 300.0
"""Seconds that a signature stays valid: an intercepted request cannot be replayed for long."""

_BODY_READ = 4096  # bytes of a refusal that are read: a receiver must not fill our memory
_ADVICE = "check the receiver's address and that it knows the secret"


class InvalidSignature(SpendstreamError):
    """A request that does not come from who knows the secret, or is too old to tell."""


class Webhook:
    """A Channel that POSTs each transition to one address. Close it when done.

    The body is the alert's JSON with ``alert_id`` and ``transition_id``. ``secret`` is
    `whsec_<base64>` or plain text. Neither it nor ``url`` appears in a log, error or repr.
    ``timeout`` is for one attempt, in seconds; ``clock`` gives Unix time in seconds.
    """

    def __init__(
        self,
        name: str,
        url: str,
        secret: str,
        *,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._url = receiver_url(url, name)
        _key(secret)  # a bad secret is refused now, not at the first alert
        self._secret = secret
        self._timeout = timeout
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Webhook(name={self.name!r})"

    async def send(self, alert: Alert, thread: str | None = None, reminder: int = 0) -> None:
        """Post once; a receiver knows no threads. Errors as for Channel.send."""
        await self._post(message_id(alert, reminder), alert_json(alert, reminder))

    async def send_digest(self, alerts: Sequence[Alert]) -> None:
        """Post transitions as a list, under an id of its own. Errors as for Channel.send."""
        await self._post(digest_id(alerts), _json({"digest": [_fields(one) for one in alerts]}))

    async def _post(self, identity: str, body: bytes) -> None:
        headers = {
            "content-type": "application/json",
            **sign(self._secret, identity, int(self._clock()), body),
        }
        if self._session is None:
            self._session = new_session(self._timeout)
        with failures_as_delays(self._timeout):
            async with self._session.post(self._url, data=body, headers=headers) as answer:
                # Once accepted it is accepted, whatever happens to the rest of the answer.
                said = b"" if answer.ok else await answer.content.read(_BODY_READ)
        text = said.decode(errors="replace")
        check_answer(answer.status, answer.headers.get("retry-after"), text, self._url, _ADVICE)

    async def close(self) -> None:
        """Release the connections; the next send would open new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def alert_json(alert: Alert, reminder: int = 0) -> bytes:
    """The body of a delivery: the alert, its two ids, decimals as strings. UTF-8.

    ``reminder``: the n-th time that it is told again; left out where it is 0.
    """
    return _json(_fields(alert) | ({"reminder": reminder} if reminder else {}))


def _fields(alert: Alert) -> dict[str, Any]:
    ids = {"alert_id": alert.alert_id, "transition_id": alert.transition_id}
    return ids | alert.model_dump(mode="json")


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a signed message; ``timestamp`` is Unix time in seconds."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{_signature(_key(secret), message_id, str(timestamp), body)}",
    }


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance: float = TOLERANCE,
) -> None:
    """Return if the bytes were signed with ``secret`` about ``now``; raise InvalidSignature if not.

    For receivers: pass the raw body, before any parsing. ``now`` is Unix time in seconds, by
    default the clock's. Of several signatures (a secret is being changed) one has to match. A
    message may come twice: remember `webhook-id` to tell.
    """
    given = {key.lower(): value for key, value in headers.items()}
    try:
        message_id, timestamp = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"].split()
    except KeyError as missing:
        raise InvalidSignature(f"header {missing} is missing") from None
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise InvalidSignature("webhook-timestamp is no Unix time in seconds")
    expected = f"v1,{_signature(_key(secret), message_id, timestamp, body)}".encode()
    if not any(hmac.compare_digest(_bytes(one), expected) for one in signatures):
        raise InvalidSignature("no signature matches")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance:
        raise InvalidSignature(f"signed more than {tolerance:g} s from now")


def _key(secret: str) -> bytes:
    try:
        key = (
            base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            if secret.startswith("whsec_")
            else secret.encode()
        )
    except binascii.Error:
        raise UserError(
            "webhook secret: what follows whsec_ is no base64; copy it again, padding included"
        ) from None
    if not key:
        raise UserError(
            "webhook secret: it is empty; whsec_ and 24 random bytes in base64 is right"
        )
    return key


def _bytes(header: str) -> bytes:
    # HTTP servers hand on bytes that are no UTF-8 as surrogates; they have to fail as a signature.
    return header.encode(errors="surrogateescape")


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = _bytes(f"{message_id}.{timestamp}.") + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
