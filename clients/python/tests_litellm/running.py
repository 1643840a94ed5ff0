"""The processes of the end-to-end test: spendstream in its environment, LiteLLM's proxy in ours."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SPENDSTREAM = ROOT / ".venv" / "bin" / "spendstream"
HERE = Path(__file__).parent
START_SECONDS = 120.0
MASTER_KEY = "sk-8d3fa6c1e09b47d2a5c8f1b6e7d04932"


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def wait_until(what: str, holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


def clean_environment(**more: str) -> dict[str, str]:
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("SPENDSTREAM_", "LITELLM_"))}
    return ours | more


class Process:
    """A child whose words are in a file. ``stop`` ends it as a supervisor would."""

    def __init__(self, name: str, folder: Path, command: list[str], **environment: str) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=clean_environment(**environment),
            )

    def words(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until(self, holds: Callable[[], bool]) -> None:
        ended = self._process.poll
        try:
            wait_until(self.name, lambda: ended() is not None or holds(), START_SECONDS)
            assert ended() is None, f"{self.name} ended with {ended()}"
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}:\n{self.words()[-4000:]}") from None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
            self._process.wait()


class Stack(Process):
    """``spendstream up`` with a budgets file and a prices file."""

    def __init__(self, folder: Path, budgets: Path, prices: Path) -> None:
        broker, self.clickhouse, web, ingest = free_ports(4)
        self.ingest = f"http://127.0.0.1:{ingest}"
        command = [str(SPENDSTREAM), "up", "--folder", str(folder / "stack")]
        command += ["--broker-port", str(broker), "--clickhouse-port", str(self.clickhouse)]
        command += ["--web-port", str(web), "--ingest-port", str(ingest)]
        command += ["--budgets", str(budgets), "--prices", str(prices)]
        super().__init__("spendstream", folder, command)
        self.wait_until(lambda: "spendstream is up" in self.words())

    def sql(self, statement: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self.clickhouse}/?output_format_json_quote_64bit_integers=0"
        body = f"{statement} FORMAT JSONEachRow".encode()
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]


class Proxy(Process):
    """LiteLLM's proxy, one worker."""

    def __init__(self, folder: Path, config: Path, **environment: str) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        command = [str(Path(sys.executable).parent / "litellm"), "--config", str(config)]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--telemetry", "False"]
        environment = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": MASTER_KEY,
            "LITELLM_LOG": "ERROR",
            **environment,
        }
        super().__init__("litellm", folder, command, **environment)
        self.wait_until(self._alive)

    def _alive(self) -> bool:
        try:
            url = f"{self.url}/health/liveliness"
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - ours
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
