"""A real local HTTP server that answers as a script says, and how it is told to fail."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[BaseHTTPRequestHandler, threading.Event], None]


class ScriptedApi:
    """Answers each POST with the next reply of ``script``, and keeps what it was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.script: list[Reply] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            api.requests.append(json.loads(body) if body[:1] == b"{" else {})
            api.headers.append({name.lower(): value for name, value in self.headers.items()})
            api.script.pop(0)(self, over)

        def do_GET(self) -> None:
            whole({"object": "list", "data": []})(self, over)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api = ScriptedApi(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def whole(body: Any, status: int = 200, zipped: bool = False, **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-type", headers.pop("kind", "application/json"))
        if zipped:
            data = gzip.compress(data)
            handler.send_header("content-encoding", "gzip")
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return reply


def dropped(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    """Hang up without an answer."""
    handler.close_connection = True


def silent(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    """Never answer."""
    over.wait(30)
    handler.close_connection = True


def streamed(events: list[bytes], then: str = "ends") -> Reply:
    """Server-sent events, after which the stream ``ends``, ``breaks`` or ``waits``."""

    def reply(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for event in events:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            handler.wfile.flush()
        if then == "ends":
            handler.wfile.write(b"0\r\n\r\n")
        elif then == "waits":
            over.wait(30)
        handler.close_connection = then != "ends"

    return reply


def sse(data: Any, event: str | None = None) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()
