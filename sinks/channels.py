"""Notification channels: what each one promises, and how its failures are told apart.

SpendstreamError
└── DeliveryError         one attempt to deliver one transition failed
    ├── DeliveryDelayed   the receiver may accept it later: try again
    └── DeliveryRejected  the receiver will never accept it: park it, tell the operator

A channel makes one attempt per call and keeps no queue: trying again, and remembering what was
delivered, is the notifier's part. The second half reads HTTP in these terms, once for every
channel that speaks it, so that no channel leaks its address: for Slack the URL is the password.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import aiohttp
from yarl import URL

from schemas.alerts import Alert
from schemas.errors import SpendstreamError, UserError

LONGEST_RETRY_AFTER = 3600.0
"""Seconds. A receiver whose clock is wrong must not silence an alert for days."""

_EXCERPT = 300  # characters of an answer in an error: an error page must not fill the log
_SHORTEST_HIDDEN = 9  # shorter parts of a URL are words: hiding "services" hides the reason
_TEMPORARY = frozenset({408, 429})  # the two 4xx that are about this moment, not about the request


class DeliveryError(SpendstreamError):
    """One attempt to deliver an alert failed. The message holds no URL and no secret."""


class DeliveryDelayed(DeliveryError):
    """Network error, time-out, 408, 429 or 5xx: the same message may be accepted later."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the receiver asked to wait; None where it did not say."""


class DeliveryRejected(DeliveryError):
    """Any other refusal: the same message will not be accepted until somebody changes something."""


class Channel(Protocol):
    """Somewhere that alerts are sent to."""

    @property
    def name(self) -> str:
        """Stable over restarts, as it is the key of delivery records; holds no secret."""

    async def send(self, alert: Alert, thread: str | None = None, reminder: int = 0) -> str | None:
        """Make one attempt. Returning means that the receiver has accepted the transition.

        ``reminder`` is 0 for the transition itself, n where it is told for the n-th time after
        that. ``thread`` is what earlier sends of this alert to this channel have returned: where
        its messages are; None where the channel knows no such place. It holds no secret, outlives
        the process, and is another one only where the old place is gone.

        Safe to call concurrently; what one alert has to say is sent in its order. May deliver twice
        where an answer is lost, so receivers tell messages apart by `message_id`. Raises
        DeliveryDelayed or DeliveryRejected.
        """

    async def send_digest(self, alerts: Sequence[Alert]) -> None:
        """Tell of several transitions in one message; the rest is as for `send`."""

    async def close(self) -> None:
        """Give its connections back."""


def message_id(alert: Alert, reminder: int = 0) -> str:
    """Identity of what is sent, the same in every attempt."""
    return f"{alert.transition_id}:reminder:{reminder}" if reminder else alert.transition_id


def digest_id(alerts: Sequence[Alert]) -> str:
    """Identity of a digest, the same in every attempt."""
    parts = " ".join(sorted(alert.transition_id for alert in alerts))
    return f"digest:{hashlib.sha256(parts.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with equal jitter: between half and all of ``first · factor^(n-1)``.

    ``first`` and ``cap`` are seconds. The jitter keeps several alerts that failed together from
    coming back together; half of the delay is fixed so that it never comes close to zero.
    """

    first: float = 1.0
    factor: float = 2.0
    cap: float = 300.0

    def __post_init__(self) -> None:
        if not (0 < self.first <= self.cap < float("inf") and self.factor >= 1):
            raise UserError(
                f"backoff: first={self.first:g}, factor={self.factor:g}, cap={self.cap:g}: "
                "0 < first <= cap and factor >= 1 would be right"
            )

    def delay(self, attempt: int, rng: random.Random, retry_after: float | None = None) -> float:
        """Seconds to wait after failed attempt number ``attempt``, counted from 1.

        What the receiver asked for (``retry_after``) wins, as it is, unless it is less than
        ``first``: a receiver that says 0 must not be asked without a pause.
        """
        if attempt < 1:
            raise ValueError(f"attempt {attempt}: attempts are counted from 1")
        if retry_after is not None and retry_after >= self.first:
            return retry_after
        try:
            full = min(self.cap, self.first * self.factor ** (attempt - 1))
        except OverflowError:  # a power of two leaves the floats after a thousand attempts
            full = self.cap
        return full * rng.uniform(0.5, 1.0)


def receiver_url(text: str, channel: str) -> URL:
    """The address of a receiver; raises UserError, which does not repeat the address."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise UserError(
            f"channel {channel}: its URL (not shown, it is a secret) does not start with "
            "https:// and a host, as in https://hooks.slack.com/services/..."
        )
    return url


def new_session(
    timeout: float, *middlewares: aiohttp.ClientMiddlewareType
) -> aiohttp.ClientSession:
    """A session for deliveries, ``timeout`` in seconds for all of one; needs a running loop."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout),
        # Alerts are rare: an idle connection has mostly been closed by its receiver (Node does
        # after 5 s), and the alert would be the one to find out.
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=True,
        middlewares=[*middlewares, _refuse_redirects],
    )


async def _refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # A POST that follows a 302 arrives as a GET without the alert, and a login page's 200 would
    # then count as delivered.
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise DeliveryRejected(
            f"answered {response.status}, a redirect; configure the address that it leads to"
        )
    return response


@contextmanager
def failures_as_delays(timeout: float) -> Iterator[None]:
    """Turn time-outs and network errors inside the block into DeliveryDelayed.

    Their own texts are dropped with their tracebacks, because several of them quote the URL.
    """
    try:
        yield
    except TimeoutError:
        raise DeliveryDelayed(f"no answer within {timeout:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        reason = getattr(error, "strerror", None)
        said = type(error).__name__ + (f" ({reason})" if reason else "")
        raise DeliveryDelayed(f"could not be reached: {said}") from None


def check_answer(
    status: int, retry_after: str | None, body: str, url: URL, advice: str = ""
) -> None:
    """Return where an HTTP answer means "accepted" (2xx), else raise the error that it means.

    ``retry_after`` is that header's value; ``body`` is quoted without what it repeats of ``url``;
    ``advice`` says what an operator should check after a rejection.
    """
    if 200 <= status < 300:
        return
    message = f"answered {status}"
    if excerpt := " ".join(redacted(body, url).split())[:_EXCERPT]:
        message += f": {excerpt}"
    if status in _TEMPORARY or status >= 500:
        raise DeliveryDelayed(message, retry_after_seconds(retry_after, datetime.now(UTC)))
    raise DeliveryRejected(f"{message}; {advice}" if advice else message)


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date).

    None where there is none or it cannot be read; never more than LONGEST_RETRY_AFTER.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:  # RFC 9110 dates are GMT, also in the obsolete forms without a zone
        until = until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def redacted(text: str, url: URL) -> str:
    """``text`` without the parts of ``url`` that could be secrets: error pages quote the path."""
    parts = {str(url), url.human_repr(), url.path_qs, url.raw_path_qs}
    parts |= {*url.parts, *url.raw_parts, *url.query.values()}
    hidden = {part for part in parts if len(part) >= _SHORTEST_HIDDEN}
    if url.password:
        hidden.add(url.password)
    for part in sorted(hidden, key=len, reverse=True):
        text = text.replace(part, "[hidden]")
    return text
