"""A real server on a free port, with a publisher that keeps what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from schemas.usage import UsageEvent
from schemas.wire import decode
from streams.web.app import serving, web_app
from streams.web.doorkeeper import Doorkeeper
from streams.web.events import event_routes
from streams.web.ingest import Ingest
from streams.web.publisher import Publisher
from streams.web.refused import RequestRefused
from streams.web.tokens import entry

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


@dataclass
class Kept:
    """In place of Kafka: every event was decoded from the bytes that would be its record."""

    events: list[UsageEvent] = field(default_factory=list)
    failure: RequestRefused | None = None
    held: asyncio.Event | None = None

    def check(self) -> None:
        return

    async def publish(self, events: Sequence[tuple[UsageEvent, bytes]]) -> None:
        if self.failure is not None:
            raise self.failure
        if self.held is not None:
            await self.held.wait()
        self.events += [decode(value) for _, value in events]


@dataclass(frozen=True)
class Server:
    """Where it answers, and what it took."""

    url: str
    kept: Kept
    http: aiohttp.ClientSession

    async def post(
        self, body: Any = None, path: str = "/v1/events", **options: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers of the answer; ``body`` is sent as JSON, bytes as they are."""
        sent: dict[str, Any] = {"json": body}
        if isinstance(body, bytes):
            sent = {"data": BytesIO(body)}
        async with self.http.post(self.url + path, **sent, **options) as answer:
            text = await answer.text()
            document = await answer.json() if text else None
            return answer.status, document, dict(answer.headers)


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.yaml"
    file.write_text(
        "tokens:\n"
        + entry("ci", "sps_ci", ["search"], ["events"])
        + "\n    defaults: {environment: ci, provider: own}\n"
        + entry("ads", "sps_ads", ["ads", "ads-*"], ["events", "traces"])
        + "\n"
        + entry("gate", "sps_gate", ["*"], ["quota"])
        + "\n"
    )
    return file


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """One that demands no tokens."""
    async for one in serve(None):
        yield one


@pytest.fixture
async def guarded(tokens_file: Path) -> AsyncIterator[Server]:
    """One with the tokens file."""
    async for one in serve(tokens_file):
        yield one


async def serve(tokens: Path | None) -> AsyncIterator[Server]:
    kept = Kept()
    ingest = Ingest(cast(Publisher, kept), clock=lambda: NOW)
    app = web_app(event_routes(ingest), Doorkeeper(tokens))
    async with serving(app, "127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
        yield Server(f"http://127.0.0.1:{port}", kept, http)
