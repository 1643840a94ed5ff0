"""Run the endpoint: take the folder and the port, serve until told to stop, give both back."""

import asyncio
import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from sinks.embedded.engine import Engine, Limits
from sinks.embedded.errors import DataFolderInUse, DataFolderUnusable, PortInUse
from sinks.embedded.http import create_endpoint
from sinks.embedded.users import DEFAULT_USERS, User


async def serve(
    path: Path,
    host: str,
    port: int,
    users: tuple[User, ...] = DEFAULT_USERS,
    *,
    stop: asyncio.Event,
    ready: Callable[[str], None] | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve the ClickHouse data in ``path`` over HTTP until ``stop`` is set.

    When it stops, it takes no more requests, lets those that run finish, and closes the engine,
    so that the folder can be opened again at once.

    Args:
        path: the data folder, made if it is not there. One process at a time may serve it, and
            a process can serve only one folder: chDB has one engine per process.
        host: an address of this machine. Anyone who reaches it may log in as a user, over
            plain HTTP: keep it on loopback.
        port: 0 for any free one, which ``ready`` tells.
        users: who may log in.
        stop: set by the caller to end it.
        ready: called once with the URL, ``http://host:port``, when requests are answered.
        limits: bounds on memory and threads.

    Raises:
        DataFolderInUse: another process serves ``path``.
        DataFolderUnusable: chDB cannot open ``path``.
        PortInUse: something listens on ``host:port``.
    """
    limits = limits or Limits()
    with _listening(host, port) as listener, _held(path):
        engine = await asyncio.to_thread(Engine, path)
        try:
            with ThreadPoolExecutor(limits.threads, "embedded-clickhouse") as threads:
                application = create_endpoint(engine, threads, users, limits)
                # Bodies are decompressed beside the engine: lz4 is unknown to aiohttp, and
                # megabytes of it would hold up every other request.
                runner = web.AppRunner(
                    application,
                    auto_decompress=False,
                    access_log=None,
                    shutdown_timeout=limits.shutdown_seconds,
                )
                await runner.setup()
                try:
                    await web.SockSite(runner, listener).start()
                    if ready is not None:
                        ready(_url(listener))
                    await stop.wait()
                finally:
                    await runner.cleanup()
        finally:
            await asyncio.to_thread(engine.close)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(host, port) from error
        raise
    with listener:
        yield listener


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold the folder against other processes.

    The lock is on the folder itself: chDB has none of its own, and a lock file would have to
    be left behind or removed in a race.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DataFolderUnusable(path, str(error)) from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataFolderInUse(path) from error
        yield
    finally:
        os.close(folder)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
