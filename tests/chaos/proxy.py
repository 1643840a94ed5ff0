"""What stands between the stages and ClickHouse, and can be as bad as a network or server gets.

Each stage has an address of its own, so that it is known who asks.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
from aiohttp import web
from yarl import URL

from tests.chaos.waiting import LOOPBACK

Mode = Literal["pass", "refuse", "hang", "error"]
BODY_BYTES = 1 << 30
_INSERT = re.compile(rb"\s*INSERT\s+INTO\s+(?:`?\w+`?\.)?`?(\w+)`?", re.IGNORECASE)


@dataclass
class Trap:
    """Executes the next inserts into a table, and cuts the connection in place of an answer.

    ``spring`` is called in between with the stage that had sent it.
    """

    table: str
    times: int = 1
    spring: Callable[[str], None] | None = None
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after the last of them."""


class FaultProxy:
    """Hands requests on to ``target``, unless told otherwise."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._mode: Mode = "pass"
        self._passing = asyncio.Event()
        self._passing.set()
        self._traps: list[Trap] = []
        self._stages: dict[int, str] = {}
        self._sites: list[web.TCPSite] = []
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession
        self.last_insert: dict[str, str] = {}
        """Per table, the stage that wrote last."""
        self.hindered = 0
        """Requests that were not simply handed on."""

    async def start(self, ports: dict[str, int]) -> None:
        """Listen on a port for each stage."""
        self._stages = {port: name for name, port in ports.items()}
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        app = web.Application(client_max_size=BODY_BYTES)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await self._listen()

    async def stop(self) -> None:
        self._passing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            await self._session.close()

    async def set_mode(self, mode: Mode) -> None:
        """From now on: pass; refuse connections and cut those that are open; hang; answer 500."""
        self._mode = mode
        if mode == "pass":
            self._passing.set()
        else:
            self._passing.clear()
        if mode == "refuse":
            await self._silence()
        elif not self._sites:
            await self._listen()

    def trap(self, trap: Trap) -> Trap:
        """Set a trap."""
        self._traps.append(trap)
        return trap

    def disarm(self, trap: Trap) -> None:
        """Take a trap back that may not have sprung."""
        if trap in self._traps:
            self._traps.remove(trap)

    async def _listen(self) -> None:
        assert self._runner is not None
        for port in self._stages:
            site = web.TCPSite(self._runner, LOOPBACK, port, reuse_address=True)
            await site.start()
            self._sites.append(site)

    async def _silence(self) -> None:
        sites, self._sites = self._sites, []
        for site in sites:
            await site.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        stage = self._stage(request)
        body = await request.read()
        if self._mode != "pass":
            self.hindered += 1
            return await self._hinder(request)
        table = inserted_table(request.query.get("query", "").encode() or body[:500])
        try:
            answer = await self._forward(request, body)
        except aiohttp.ClientError:
            self.hindered += 1
            return _cut(request)
        if table is not None and answer.status == 200:
            self.last_insert[table] = stage
            if self._springs(table, stage):
                return _cut(request)
        return answer

    def _stage(self, request: web.Request) -> str:
        assert request.transport is not None
        _, port, *_ = request.transport.get_extra_info("sockname")
        return self._stages[port]

    async def _hinder(self, request: web.Request) -> web.StreamResponse:
        if self._mode == "error":
            return web.Response(
                status=500,
                text="Code: 1000. DB::Exception: The chaos suite says no. (CHAOS)\n",
                headers={"X-ClickHouse-Exception-Code": "1000"},
            )
        if self._mode == "hang":
            await self._passing.wait()
        return _cut(request)

    def _springs(self, table: str, stage: str) -> bool:
        for trap in self._traps:
            if trap.table != table:
                continue
            self.hindered += 1
            trap.times -= 1
            if trap.spring is not None:
                trap.spring(stage)
            if trap.times == 0:
                self._traps.remove(trap)
                trap.sprung.set()
            return True
        return False

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        url = URL(f"{self._target}{request.raw_path}", encoded=True)
        headers = {n: v for n, v in request.headers.items() if n.lower() not in _OWN}
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            kept = {n: v for n, v in answer.headers.items() if n.lower() not in _OWN}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)


_OWN = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "date"}
)
"""Headers that each connection has for itself."""


def inserted_table(statement: bytes) -> str | None:
    """The table that a statement inserts into; None for any other statement."""
    found = _INSERT.match(statement)
    return found[1].decode() if found else None


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)
