"""Retries for the official clients: exponential backoff with jitter, within a budget.

They take the place of the clients' own, below the client and above the metering: each attempt is
metered.
"""

from __future__ import annotations

import email.utils
import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from spendstream._instrument import http_client_of, replace_transports
from spendstream._instrument_attempt import RETRY_COUNT
from spendstream._instrument_transport import Layer

_log = logging.getLogger("spendstream")

_Client = TypeVar("_Client")
WINDOW_SECONDS = 10
"""For so long a request counts towards the budget, as in Finagle."""
LONGEST_WAIT_SECONDS = 120.0
"""Of a Retry-After: who is told to wait longer gets the error at once, as in the clients' own."""
_RETRIED = frozenset({408, 409, 429})
"""Besides 500 and above: timeout, conflict, too many requests, as in the clients' own."""
_NEVER_SENT = frozenset({"UnsupportedProtocol", "LocalProtocolError"})


class RetryBudget:
    """How many retries may be made: a share of the requests, so that an outage is not made worse.

    A token bucket: each request puts in ``ratio`` of a token, each retry takes one out, and what
    was put in or taken out is forgotten after ten seconds. On top there are ``min_per_second``
    tokens for each of those seconds, so that a client with few requests can retry too. Thread-safe;
    one budget may be shared by many clients. ``clock``: seconds, never going back.

    Source: Finagle's ``RetryBudget`` (percentCanRetry, minRetriesPerSec, ttl); the same idea as the
    retry throttling of gRPC (gRFC A6). Raises ValueError for a negative number.
    """

    def __init__(
        self,
        ratio: float = 0.1,
        min_per_second: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check("ratio", ratio)
        _check("min_per_second", min_per_second)
        self._ratio = ratio
        self._reserve = min_per_second * WINDOW_SECONDS
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds: dict[int, list[int]] = {}

    @property
    def balance(self) -> float:
        """Tokens that are left: as many retries may be made now."""
        with self._lock:
            return self._balance(int(self._clock()))

    def deposit(self) -> None:
        """A request is made, which is no retry."""
        with self._lock:
            self._in(int(self._clock()))[0] += 1

    def withdraw(self) -> bool:
        """Whether a retry may be made; if so, it is counted."""
        with self._lock:
            now = int(self._clock())
            if self._balance(now) < 1:
                return False
            self._in(now)[1] += 1
            return True

    def _in(self, second: int) -> list[int]:
        """Requests and retries of this second."""
        return self._seconds.setdefault(second, [0, 0])

    def _balance(self, now: int) -> float:
        for second in [second for second in self._seconds if second <= now - WINDOW_SECONDS]:
            del self._seconds[second]
        requests = sum(count for count, _ in self._seconds.values())
        retries = sum(count for _, count in self._seconds.values())
        # Rounded, as ten times a tenth of a token is to be a whole one.
        return round(self._reserve + self._ratio * requests - retries, 9)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again, and how long to wait before: seconds."""

    max_retries: int = 2
    budget: RetryBudget = field(default_factory=RetryBudget)
    base: float = 0.5
    cap: float = 8.0

    def __post_init__(self) -> None:
        for name in ("max_retries", "base", "cap"):
            _check(name, getattr(self, name))

    def wait_after(self, retries: int, headers: Any = None) -> float | None:
        """Seconds until the next retry, after ``retries`` of them; None where none may be made.

        A random time up to ``base`` doubled with each retry, at most ``cap``: exponential backoff
        with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"). A Retry-After is
        waited for first; the random time then keeps callers apart who were told the same.
        """
        if retries >= self.max_retries:
            return None
        told = 0.0 if headers is None else retry_after(headers)
        if told > LONGEST_WAIT_SECONDS:
            return None
        if not self.budget.withdraw():
            _log.info("not retrying: the budget for retries is spent")
            return None
        most = min(self.cap, self.base * 2.0 ** min(retries, 1000))
        return told + random.uniform(0, most)  # noqa: S311 - no secret

    def after_response(self, retries: int, response: Any) -> float | None:
        """`wait_after` for a response; None too where it is no failure that may pass."""
        said = response.headers.get("x-should-retry")
        passing = response.status_code in _RETRIED or response.status_code >= 500
        if said != "true" and (said == "false" or not passing):
            return None
        return self.wait_after(retries, response.headers)

    def after_error(self, retries: int, error: Exception) -> float | None:
        """`wait_after` for an exception; None too where it is none of the connection's."""
        names = {base.__name__ for base in type(error).__mro__}
        if "TransportError" not in names or names & _NEVER_SENT:
            return None
        return self.wait_after(retries)


def retrying(
    client: _Client,
    *,
    max_retries: int = 2,
    budget: RetryBudget | None = None,
    base: float = 0.5,
    cap: float = 8.0,
) -> _Client:
    """Retry an OpenAI or Anthropic client's requests this way instead of its own; returns it.

    Retried are 408, 409, 429, 500 and above (``x-should-retry`` in an answer decides otherwise),
    timeouts and failed connections, up to ``max_retries`` times and while there is ``budget`` (by
    default one of its own). The wait is random up to ``base`` seconds, twice that before the second
    retry and so on, at most ``cap``, after any Retry-After. When retries or budget are spent, the
    last error goes to the caller at once. Uploads are not retried, nor is an answer that breaks
    off while it is read.

    Sets ``client.max_retries`` to 0; clients that were copied from it before keep theirs. Raises
    TypeError for what is no such client, and ValueError for a negative number.
    """
    policy = RetryPolicy(max_retries, budget or RetryBudget(), base, cap)
    http = http_client_of(client, "retrying")
    replace_transports(http, lambda transport: _retrying(transport, policy))
    client.max_retries = 0  # type: ignore[attr-defined]
    return client


class Retrying(Layer):
    """Sends a request again, as its policy says."""

    def __init__(self, inner: Any, policy: RetryPolicy) -> None:
        super().__init__(inner)
        self.policy = policy

    def handle_request(self, request: Any) -> Any:
        """Send a request (httpx's interface)."""
        if not _repeatable(request):
            return self.inner.handle_request(request)
        policy, retries = self.policy, 0
        policy.budget.deposit()
        while True:
            try:
                response = self.inner.handle_request(request)
            except Exception as error:
                wait = policy.after_error(retries, error)
                if wait is None:
                    raise
            else:
                wait = policy.after_response(retries, response)
                if wait is None:
                    return response
                _discard(response)
            retries += 1
            request.headers[RETRY_COUNT] = str(retries)
            time.sleep(wait)

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request (httpx's interface)."""
        if not _repeatable(request):
            return await self.inner.handle_async_request(request)
        import anyio  # Comes with httpx; sleeps on whichever loop the caller has.

        policy, retries = self.policy, 0
        policy.budget.deposit()
        while True:
            try:
                response = await self.inner.handle_async_request(request)
            except Exception as error:
                wait = policy.after_error(retries, error)
                if wait is None:
                    raise
            else:
                wait = policy.after_response(retries, response)
                if wait is None:
                    return response
                await _discard_async(response)
            retries += 1
            request.headers[RETRY_COUNT] = str(retries)
            await anyio.sleep(wait)


def retry_after(headers: Any) -> float:
    """Seconds that a response asks to wait (``retry-after-ms``, ``retry-after``); 0 for none."""
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / per_second
        except ValueError:
            continue
        return max(0.0, seconds) if not math.isnan(seconds) else 0.0
    try:
        until = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return 0.0
    zoned = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (zoned - datetime.now(UTC)).total_seconds())


def _retrying(transport: Any, policy: RetryPolicy) -> Any:
    if isinstance(transport, Retrying):
        transport.policy = policy
        return transport
    return Retrying(transport, policy)


def _discard(response: Any) -> None:
    """Read what nobody will: the metering sees the error's code, the connection can be reused."""
    try:
        response.read()
    except Exception as error:  # noqa: BLE001 - of an answer that is given up anyway
        _log.debug("the body of a failure broke off: %s", type(error).__name__)
    finally:
        response.close()


async def _discard_async(response: Any) -> None:
    """The same for asynchronous clients."""
    try:
        await response.aread()
    except Exception as error:  # noqa: BLE001 - of an answer that is given up anyway
        _log.debug("the body of a failure broke off: %s", type(error).__name__)
    finally:
        await response.aclose()


def _repeatable(request: Any) -> bool:
    """Whether the body can be sent twice. One that is read while it is sent (an upload) cannot."""
    try:
        return request.content is not None
    except RuntimeError:
        return False


def _check(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name} is {value}; it must be 0 or more")
