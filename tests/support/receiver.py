"""A real HTTP server that alerts are posted to: it records them, checks their signatures, and
answers as it is told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sinks.webhook import verify

SECRET = "whsec_c3BlbmRzdHJlYW0tZTJlLXNlY3JldC0wMQ=="


@dataclass(frozen=True)
class Post:
    """One request: what it was about, and what it was answered."""

    path: str
    about: str
    status: int
    body: dict[str, Any]


@dataclass
class Receiver:
    """`/hook` takes signed webhooks, `/slack` what is posted to Slack."""

    address: str = ""
    posts: list[Post] = field(default_factory=list)
    forgeries: list[str] = field(default_factory=list)
    answers: dict[str, deque[tuple[int, dict[str, str]]]] = field(
        default_factory=lambda: {"/hook": deque(), "/slack": deque()}
    )
    """What the next requests to a path are answered; 200 when there is nothing left."""
    down: bool = False
    """While it is true, every answer is 503."""

    def accepted(self, path: str) -> Counter[str]:
        """What was taken by a path, and how often."""
        return Counter(p.about for p in list(self.posts) if p.path == path and p.status == 200)

    def refused(self, path: str) -> int:
        """How many requests to a path were sent away."""
        return sum(p.path == path and p.status != 200 for p in list(self.posts))

    async def take(self, request: web.Request) -> web.Response:
        """Answer one request, and put it on record."""
        raw = await request.read()
        body = json.loads(raw)
        if request.path == "/hook":
            try:
                verify(SECRET, request.headers, raw)
            except Exception as error:
                self.forgeries.append(repr(error))
                raise
            about = request.headers["webhook-id"]
        else:
            about = body["text"]
        waiting = self.answers[request.path]
        status, headers = (200, {})
        if self.down:
            status = 503
        elif waiting:
            status, headers = waiting.popleft()
        self.posts.append(Post(request.path, about, status, body))
        return web.Response(status=status, headers=headers, text="ok" if status == 200 else "no")


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port, in a thread of its own."""
    receiver = Receiver()
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/{path}", receiver.take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        receiver.address = f"http://{host}:{port}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run, name="receiver")
    thread.start()
    try:
        assert ready.wait(10)
        yield receiver
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
