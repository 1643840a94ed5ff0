"""`GET /v1/quotas`: the topic `llm.quotas` as lines of JSON, for whoever has no Kafka client.

Every record first, a line that says so, then each change. A reader that is slower than the changes
gets of each key the newest: what waits for it are keys, never more than the table has. One that
takes nothing at all is disconnected.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aiohttp import web

from streams.quotas.reader import read_quotas
from streams.quotas.table import QuotaTable
from streams.settings import Settings
from streams.web.quota import ERRORS, not_read
from streams.web.refused import busy
from streams.web.route import Route
from streams.web.tokens import Token

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
"""Between two lines that say that the stream lives."""
STALL_SECONDS = 10.0
"""For a reader to take what was written, once the connection's buffers are full."""
MAX_READERS = 128
"""At once, of one process."""
LINES = 200
"""Written at once: others have their turn between."""
_OPERATION: Mapping[str, Any] = {
    "operationId": "followQuotas",
    "summary": "The topic llm.quotas as lines of JSON, without an end",
    "responses": {
        "200": {
            "description": "Every record, `ready`, then each change, and a heartbeat between.",
            "content": {"application/x-ndjson": {"schema": {"type": "object"}}},
        },
        **{status: error for status, error in ERRORS.items() if status != "400"},
    },
}


class QuotaFeed:
    """``table`` is kept as the topic is while it runs."""

    def __init__(self) -> None:
        self.table = QuotaTable()
        self._readers: set[_Changes] = set()
        self._closed = False

    async def run(self, settings: Settings, stop: asyncio.Event) -> None:
        """Read the topic until ``stop`` is set; then streams end."""
        try:
            await read_quotas(settings, self.table, stop)
        finally:
            self.close()

    def close(self) -> None:
        """End every stream, and begin none any more."""
        self._closed = True
        for reader in self._readers:
            reader.end()

    def route(self) -> Route:
        """The stream."""
        return Route("GET", "/v1/quotas", self._stream, "quota", _OPERATION, apart=True)

    async def _stream(self, request: web.Request, _: Token) -> web.StreamResponse:
        if self._closed or not self.table.ready:
            raise not_read()
        if len(self._readers) >= MAX_READERS:
            raise busy(f"{MAX_READERS} follow the quotas here already")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        changes = _Changes()
        self._readers.add(changes)
        try:
            with self.table.followed(changes.add):
                await response.prepare(request)
                await self._write(response, changes)
        except TimeoutError:
            log.warning("a reader of quotas at %s takes nothing: disconnected", request.remote)
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            log.debug("a reader of quotas at %s has gone", request.remote)
        finally:
            self._readers.discard(changes)
        return response

    async def _write(self, response: web.StreamResponse, changes: _Changes) -> None:
        await self._records(response, self.table.keys())
        await _send(response, [self._line(ready=True)])
        clock = asyncio.get_running_loop().time
        due = clock() + BEAT_SECONDS
        while (keys := await changes.next(due - clock())) is not None:
            await self._records(response, keys)
            if clock() >= due:
                now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
                await _send(response, [self._line(heartbeat=now)])
                due = clock() + BEAT_SECONDS

    async def _records(self, response: web.StreamResponse, keys: Iterable[str]) -> None:
        for some in _batches(keys):
            await _send(response, [self._record(key) for key in some])

    def _record(self, key: str) -> str:
        record = self.table.get(key)
        stamp = self.table.removed(key) if record is None else record.as_of
        value = "null" if record is None else record.model_dump_json()
        as_of = "null" if stamp is None else stamp.model_dump_json()
        name = json.dumps(key, ensure_ascii=False)
        return f'{{"key":{name},"value":{value},"as_of":{as_of}}}\n'

    def _line(self, **said: object) -> str:
        age = self.table.age_seconds(datetime.now(UTC))
        return json.dumps({**said, "age_seconds": age}, separators=(",", ":")) + "\n"


class _Changes:
    """What one reader was not told yet."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}
        self._some = asyncio.Event()
        self._ended = False

    def add(self, key: str) -> None:
        """This key has another record, or none any more."""
        self._keys[key] = None
        self._some.set()

    def end(self) -> None:
        """Nothing more is to be told."""
        self._ended = True
        self._some.set()

    async def next(self, seconds: float) -> Sequence[str] | None:
        """The keys that changed, none after so long without; None at the end."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._some.wait()
        except TimeoutError:
            return ()
        self._some.clear()
        keys, self._keys = list(self._keys), {}
        return None if self._ended else keys


async def _send(response: web.StreamResponse, lines: Iterable[str]) -> None:
    """Raises TimeoutError for a reader that takes nothing, ConnectionError where it has gone."""
    async with asyncio.timeout(STALL_SECONDS):
        await response.write("".join(lines).encode())


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(keys)
    while some := list(islice(remaining, LINES)):
        yield some
