"""Delivery by HTTP: batches of events to ``POST <base>/v1/events``, one request at a time.

One request at a time keeps the order, and makes the batches as large as the server is slow. A
request is repeated until it is answered: the server counts an event_id once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import httpx2

from spendstream._avro import as_json
from spendstream._courier import GATHER_SECONDS, Trouble, setter, words
from spendstream._outbox import Outbox, Record

_log = logging.getLogger("spendstream")

MAX_EVENTS = 1_000
MAX_BODY = 1024 * 1024
"""Of one request, as the server takes them."""
CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 30.0
"""Seconds. The server answers once Kafka has the events."""
MAX_RETRY_AFTER = 300.0
"""Seconds that a server may ask us to wait: one that says a day is asked again today."""
TAKEN = frozenset({"accepted", "duplicate"})
ANSWERED = frozenset({202, 207, 422})
"""Statuses with a result for each event: all accepted, some, none."""


class _Letter(NamedTuple):
    """An event as JSON."""

    record: Record
    event_id: str
    body: bytes


class HttpCourier:
    """Carries events from an outbox to ``url``, the server's base. ``token`` is never shown."""

    def __init__(
        self, url: str, token: str | None, outbox: Outbox, delivery_timeout: float
    ) -> None:
        try:
            self._url = httpx2.URL(f"{url}/v1/events")
        except httpx2.InvalidURL as error:
            raise ValueError(f"the HTTP URL is not valid: {error}") from None
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"spendstream-client/{version('spendstream-client')}",
        }
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._outbox = outbox
        self._timeout = httpx2.Timeout(
            min(ANSWER_TIMEOUT, delivery_timeout), connect=min(CONNECT_TIMEOUT, delivery_timeout)
        )
        self._more = asyncio.Event()
        self._next: _Letter | None = None
        self._trouble = Trouble(url)
        self._codes_logged: set[str] = set()

    async def run(self) -> None:
        """Deliver until cancelled; then give up on what is still pending."""
        logging.getLogger("httpx2").addFilter(_is_not_about_us)
        wake = setter(self._more)
        try:
            async with httpx2.AsyncClient(
                headers=self._headers,
                timeout=self._timeout,
                # Without TLS there is nothing to check; loading the system's CAs takes 0.2 s.
                verify=self._url.scheme == "https",
            ) as client:
                while True:
                    self._more.clear()
                    batch = self._collect(wake)
                    if batch:
                        await self._deliver(client, batch)
                    else:
                        await self._more.wait()
                        await asyncio.sleep(GATHER_SECONDS)
        finally:
            self._outbox.abandon()

    def _collect(self, wake: Callable[[], None]) -> list[_Letter]:
        """What goes into one request, oldest first."""
        batch: list[_Letter] = []
        size = 2
        while len(batch) < MAX_EVENTS:
            letter, self._next = self._next or self._taken(wake), None
            if letter is None:
                break
            size += len(letter.body) + 1
            if batch and size > MAX_BODY:
                self._next = letter
                break
            batch.append(letter)
        return batch

    def _taken(self, wake: Callable[[], None]) -> _Letter | None:
        while record := self._outbox.take(wake):
            try:
                event = as_json(record.value)
            except ValueError as error:
                self._reject(record, "undecodable_avro", words(error))
                continue
            body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
            return _Letter(record, event["event_id"], body)
        return None

    async def _deliver(self, client: httpx2.AsyncClient, batch: list[_Letter]) -> None:
        """Send until the server has said something about each event."""
        while batch := self._in_time(batch):
            body = b"[" + b",".join(letter.body for letter in batch) + b"]"
            try:
                answer = await client.post(self._url, content=body)
            except (httpx2.RequestError, OSError) as error:
                self._trouble.say(words(error))
                await self._trouble.wait()
                continue
            if answer.status_code in ANSWERED and self._settle(batch, answer):
                self._trouble.over()
                return
            if answer.status_code in (400, 413):
                if len(batch) > 1:
                    half = len(batch) // 2
                    await self._deliver(client, batch[:half])
                    batch = batch[half:]
                    continue
                code = "event_too_large" if answer.status_code == 413 else "unreadable"
                self._reject(batch[0].record, code, _said(answer))
                return
            self._trouble.say(_said(answer))
            wanted = _retry_after(answer)
            await (asyncio.sleep(wanted) if wanted else self._trouble.wait())

    def _in_time(self, batch: Sequence[_Letter]) -> list[_Letter]:
        """Give up on events beyond their deadline; those that are left."""
        now = time.monotonic()
        for letter in batch:
            if letter.record.deadline <= now:
                self._outbox.settle(letter.record, delivered=False)
        self._outbox.expire()
        return [letter for letter in batch if letter.record.deadline > now]

    def _settle(self, batch: Sequence[_Letter], answer: httpx2.Response) -> bool:
        """Settle each event as the answer says. False where it does not say it of every one."""
        results = _results(answer)
        wanted = Counter(letter.event_id for letter in batch)
        if any(len(results[event_id]) < count for event_id, count in wanted.items()):
            return False
        for letter in batch:
            result = results[letter.event_id].popleft()
            if result.get("status") in TAKEN:
                self._outbox.settle(letter.record, delivered=True)
            else:
                code = str(result.get("code") or "refused")
                self._reject(letter.record, code, str(result.get("error") or code))
        return True

    def _reject(self, record: Record, code: str, why: str) -> None:
        if code not in self._codes_logged:
            self._codes_logged.add(code)
            said = " ".join(why.split())
            _log.warning("usage event rejected: %.300s (further ones are only counted)", said)
        self._outbox.reject(record, code)


def _results(answer: httpx2.Response) -> defaultdict[str, deque[dict[str, Any]]]:
    """The results in the answer by event id; none where it is not the server's."""
    found: defaultdict[str, deque[dict[str, Any]]] = defaultdict(deque)
    try:
        body = answer.json()
    except ValueError:
        return found
    results = body.get("results") if isinstance(body, dict) else None
    for result in results if isinstance(results, list) else ():
        if isinstance(result, dict):
            found[str(result.get("id"))].append(result)
    return found


def _said(answer: httpx2.Response) -> str:
    """What an answer says, in one line for the log."""
    status = answer.status_code
    if status in (401, 403):
        why = "the token is not valid" if "authorization" in answer.request.headers else "no token"
        hint = f" ({why}; see token= and SPENDSTREAM_TOKEN)"
    elif status in ANSWERED:
        hint = " without a result for every event: is this a spendstream server?"
    elif status < 400 or status in (404, 405):
        hint = " (is this the base of a spendstream server?)"
    else:
        hint = ""
    try:
        body = answer.json()
    except ValueError:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    said = f": {' '.join(str(text).split()):.200}" if text else ""
    return f"HTTP {status} {answer.reason_phrase}{said}{hint}"


def _retry_after(answer: httpx2.Response) -> float | None:
    """Seconds that the server asks us to wait (RFC 9110, section 10.2.3), where it says so."""
    text = answer.headers.get("Retry-After", "").strip()
    if answer.status_code not in (429, 503) or not text.isascii() or not text.isdigit():
        return None
    return min(float(text), MAX_RETRY_AFTER)


def _is_not_about_us(record: logging.LogRecord) -> bool:
    # httpx2 says every request at INFO; ours are of the courier's thread, and are counted.
    return record.threadName != "spendstream" or record.levelno >= logging.WARNING
