"""Supervised processes: kept running, stopped politely, and then for good."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import UserError
from streams.stack.ports import Ports
from streams.stack.supervisor import Command, Supervised
from tests.support.waiting import wait_until


def python(code: str) -> Command:
    return Command("child", [sys.executable, "-u", "-c", code])


async def until(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, "the child", condition, 20.0)


def written(child: Supervised) -> str:
    return child.log_file.read_text()


async def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    child = Supervised(python("import time; print('up'); time.sleep(600)"), tmp_path)
    await child.start()
    try:
        await until(lambda: "up" in written(child))
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.pid not in (None, first))
        assert child.restarts == 1
        await until(lambda: written(child).count("up") == 2)
    finally:
        await child.stop()
    assert child.pid is None


async def test_a_process_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('goodbye'), sys.exit(0)))\n"
        "print('up'); time.sleep(600)"
    )
    child = Supervised(python(code), tmp_path)
    await child.start()
    await until(lambda: "up" in written(child))
    await child.stop()
    assert "goodbye" in written(child)
    assert child.restarts == 0


async def test_a_process_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.stack.supervisor.STOP_SECONDS", 0.2)
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up'); time.sleep(600)"
    )
    child = Supervised(python(code), tmp_path)
    await child.start()
    await until(lambda: "up" in written(child))
    await child.stop()
    assert child.pid is None


async def test_last_words_say_why_it_ended(tmp_path: Path) -> None:
    child = Supervised(python("print('one'); print('the reason')"), tmp_path)
    await child.start()
    await child.ended()
    assert child.last_words() == "the reason"
    await child.stop()


def test_a_port_in_use_is_named_with_the_flag_that_changes_it() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports.free()
        with pytest.raises(UserError, match=rf"127\.0\.0\.1:{port} \(web\).*--web-port"):
            Ports(ports.broker, ports.clickhouse, port).check_free()
