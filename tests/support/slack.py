"""Slack's Web API as a real local HTTP server: the methods that an alert channel uses."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from slack_sdk.models.blocks import Block

TOKEN = "xoxb-1234-S3cr3tBotToken"
CHANNEL = "C0ALERTS01"
NAME = "#llm-alerts"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Message:
    """A message as the channel has it."""

    ts: str
    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]
    thread_ts: str | None = None
    broadcast: bool = False
    edits: int = 0

    @property
    def head(self) -> str:
        """Its first text: a header, or the first line of a section."""
        text: str = self.blocks[0]["text"]["text"]
        return text.split("\n")[0]


@dataclass
class Share:
    """A file that was shared."""

    thread_ts: str
    title: str
    alt_text: str
    content: bytes


@dataclass
class Workspace:
    """One channel, in which the bot is. Refusals are 200 with ``ok: false``, as Slack's are."""

    api: str = ""
    messages: list[Message] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    next_answers: dict[str, deque[Handler]] = field(default_factory=lambda: defaultdict(deque))
    """What the next requests of a method are answered, in place of Slack's own answer."""
    lost_answers: set[str] = field(default_factory=set)
    """Methods that do their work, and hang up before they answer. Once each."""
    _uploads: dict[str, dict[str, Any]] = field(default_factory=dict)

    def thread(self, ts: str) -> list[Message]:
        """The replies below a message."""
        return [message for message in self.messages if message.thread_ts == ts]

    def refuse(self, method: str, code: str, **more: str) -> None:
        """Let the next request of a method be refused."""
        self.answer(method, {"ok": False, "error": code, **more})

    def answer(
        self, method: str, body: dict[str, Any] | str, status: int = 200, **headers: str
    ) -> None:
        """Let the next request of a method be answered so."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def handler(_: web.Request) -> web.StreamResponse:
            if isinstance(body, str):
                return web.Response(text=body, status=status, headers=named)
            return web.json_response(body, status=status, headers=named)

        self.next_answers[method].append(handler)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.path.rpartition("/")[2]
        if request.path.startswith("/upload/"):
            return await self._take_file(request, method)
        sent = await _arguments(request)
        self.asked.append((method, sent))
        if self.next_answers[method]:
            return await self.next_answers[method].popleft()(request)
        answer = self._answer(request, method, sent)
        if method in self.lost_answers:
            self.lost_answers.remove(method)
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(answer)

    def _answer(self, request: web.Request, method: str, sent: dict[str, Any]) -> dict[str, Any]:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        methods: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "files.getUploadURLExternal": self._get_upload,
            "files.completeUploadExternal": self._complete_upload,
        }
        return methods[method](sent)

    def _post(self, sent: dict[str, Any]) -> dict[str, Any]:
        if sent["channel"] not in {CHANNEL, NAME}:
            return {"ok": False, "error": "channel_not_found"}
        if not _readable(sent):
            return {"ok": False, "error": "invalid_blocks"}
        ts = f"1795437451.{len(self.messages):06}"
        self.messages.append(
            Message(
                ts,
                sent["text"],
                sent["blocks"],
                sent["metadata"],
                sent.get("thread_ts"),
                bool(sent.get("reply_broadcast")),
            )
        )
        return {"ok": True, "channel": CHANNEL, "ts": ts}

    def _update(self, sent: dict[str, Any]) -> dict[str, Any]:
        if sent["channel"] != CHANNEL:  # not by name
            return {"ok": False, "error": "channel_not_found"}
        for message in self.messages:
            if message.ts == sent["ts"]:
                message.text, message.blocks = sent["text"], sent["blocks"]
                message.edits += 1
                return {"ok": True, "channel": CHANNEL, "ts": message.ts}
        return {"ok": False, "error": "message_not_found"}

    def _get_upload(self, sent: dict[str, Any]) -> dict[str, Any]:
        file = f"F{len(self._uploads):08}"
        self._uploads[file] = dict(sent)
        address = f"{self.api.removesuffix('/api/')}/upload/v1/{file}"
        return {"ok": True, "file_id": file, "upload_url": address}

    async def _take_file(self, request: web.Request, file: str) -> web.StreamResponse:
        if self.next_answers["upload"]:
            return await self.next_answers["upload"].popleft()(request)
        content = await request.read()
        assert len(content) == int(self._uploads[file]["length"])
        self._uploads[file]["content"] = content
        return web.Response(text=f"OK - {len(content)}")

    def _complete_upload(self, sent: dict[str, Any]) -> dict[str, Any]:
        (file,) = json.loads(sent["files"]) if isinstance(sent["files"], str) else sent["files"]
        upload = self._uploads[file["id"]]
        assert sent["channel_id"] == CHANNEL
        self.shares.append(
            Share(sent["thread_ts"], file["title"], upload["alt_txt"], upload["content"])
        )
        return {"ok": True, "files": [{"id": file["id"]}]}


async def _arguments(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        sent: dict[str, Any] = await request.json()
        return sent
    return {**request.query, **await request.post()}


def _readable(sent: dict[str, Any]) -> bool:
    for block in sent["blocks"]:
        parsed = Block.parse(block)
        if parsed is None:
            return False
        parsed.validate_json()
    return True


@asynccontextmanager
async def slack() -> AsyncIterator[Workspace]:
    """A workspace on a free port, in this event loop."""
    workspace = Workspace()
    app = web.Application()
    app.router.add_post("/{path:.*}", workspace.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    workspace.api = f"http://{host}:{port}/api/"
    try:
        yield workspace
    finally:
        await runner.cleanup()
