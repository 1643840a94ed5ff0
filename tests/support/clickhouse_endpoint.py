"""The embedded ClickHouse in a process of its own, with other users or fewer rights than usual."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_SERVE = """
import asyncio, json, signal, sys
from pathlib import Path
from sinks.embedded import User, engine, serve

data, users, grants = json.loads(sys.stdin.readline())
if grants:
    before, _, rest = engine._USERS.partition("<grants>")
    _, _, after = rest.partition("</grants>")
    queries = "".join(f"<query>{grant}</query>" for grant in grants)
    engine._USERS = f"{before}<grants>{queries}</grants>{after}"

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(Path(data), "127.0.0.1", 0, tuple(User(*user) for user in users), stop=stop,
                ready=lambda url: print(url, flush=True))

asyncio.run(main())
"""


@contextmanager
def clickhouse_endpoint(
    data: Path,
    users: Sequence[tuple[str, str, bool]] = (("default", "", False),),
    grants: Sequence[str] = (),
) -> Iterator[str]:
    """Its address. ``users``: name, password, and whether it may only read.

    ``grants``: all that the engine lets any of them do, in place of its own; as it has one user,
    whoever asks has these rights.
    """
    command = [sys.executable, "-c", _SERVE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([str(data), users, grants]) + "\n")
            process.stdin.flush()
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
