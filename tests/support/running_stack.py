"""`spendstream up` as a user runs it: a process in a folder, on free ports, ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sinks.clickhouse import ClickHouse
from streams.settings import PREFIX, Settings, load_settings
from streams.stack.ports import Ports
from streams.stack.run_file import run_file
from tests.support.waiting import wait_until

STAGES: Mapping[str, Sequence[str]] = {
    "meter": ("meter",),
    "ledger": ("sink", "ledger"),
    "archive": ("sink", "archive"),
    "guard": ("guard",),
    "web": ("web",),
}
UP_SECONDS = 60.0
COMMAND_SECONDS = 55.0
"""With `UP_SECONDS` less than pytest's own limit, so that a command that hangs is named."""


def clean_environment(**more: str) -> dict[str, str]:
    """Ours without settings of spendstream, which would lead a test to another stack."""
    return {n: v for n, v in os.environ.items() if not n.startswith(PREFIX)} | more


class RunningStack:
    """One `spendstream up`. ``stop`` checks that it ended well, and can be followed by `start`.

    ``kafka``: bootstrap servers of the Kafka that it runs on; None: it has the embedded broker.
    """

    def __init__(
        self,
        folder: Path,
        *flags: str,
        kafka: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.ports = Ports.free()
        self._kafka = kafka
        self._flags = flags
        self._environment = clean_environment(**(environment or {}))
        self._output = folder.parent / f"{folder.name}-up.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Settings:
        """Settings that reach it."""
        return load_settings(
            kafka=self._kafka or f"127.0.0.1:{self.ports.broker}",
            clickhouse=f"http://127.0.0.1:{self.ports.clickhouse}",
            web_port=self.ports.web,
            ingest_port=self.ports.ingest,
        )

    def start(self) -> None:
        """Start it, and wait until it says where it can be reached."""
        ports = self.ports
        own = ("--broker-port", str(ports.broker))
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "streams.cli", "up", "--folder", str(self.folder)),
                    *(own if self._kafka is None else ("--kafka", self._kafka)),
                    *("--clickhouse-port", str(ports.clickhouse)),
                    *("--web-port", str(ports.web)),
                    *("--ingest-port", str(ports.ingest)),
                    *self._flags,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
            )
        process = self._process
        try:
            wait_until(
                "spendstream up",
                lambda: process.poll() is not None or self._says_it_is_up(process.pid),
                UP_SECONDS,
            )
            assert process.poll() is None, f"up ended with {process.returncode}"
        except AssertionError as error:
            process.kill()
            process.wait()
            raise AssertionError(f"{error}:\n{self.words()}") from None

    def stop(self) -> None:
        """End it by SIGINT: it ends with 0, and nothing that it started is left behind."""
        process, self._process = self._process, None
        if process is None:
            return
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(COMMAND_SECONDS)
        finally:
            process.kill()
        assert code == 0, f"up ended with {code}:\n{self.words()}"
        assert [pid for pid in family if is_alive(pid)] == [], "a child was left behind"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of spendstream, in the same folder."""
        return subprocess.run(
            self._command(arguments),
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, without waiting for its end."""
        return subprocess.Popen(
            self._command(arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
        )

    def replay(self, file: Path, trace_format: str, *more: str) -> None:
        """Replay a file, and wait until ClickHouse has it."""
        done = self.run("replay", str(file), "--format", trace_format, *more)
        assert done.returncode == 0, f"replay: {done.stdout}{done.stderr}"

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """The rows that `spendstream sql` shows."""
        done = self.run("sql", statement, "--json")
        assert done.returncode == 0, f"sql: {done.stdout}{done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The same without starting a process: for looking again and again."""
        connection = ClickHouse(self.settings.clickhouse)
        try:
            return connection.query(statement)
        finally:
            connection.close()

    def pid(self, stage: str) -> int | None:
        """The stage's process, None while it has none."""
        assert self._process is not None
        ending = STAGES[stage]
        for pid in children(self._process.pid):
            if tuple(command_line(pid)[-len(ending) :]) == tuple(ending):
                return pid
        return None

    def kill(self, stage: str) -> int:
        """SIGKILL a stage; the process that is gone."""
        pid = self.pid(stage)
        assert pid is not None, f"{stage} does not run"
        os.kill(pid, signal.SIGKILL)
        return pid

    def words(self) -> str:
        """The last lines of everything that it wrote."""
        parts = []
        for file in (self._output, *sorted((self.folder / "logs").glob("*.log"))):
            lines = file.read_text("utf-8", "replace").splitlines() if file.exists() else []
            parts.append("\n".join([f"--- {file.name}", *lines[-25:]]))
        return "\n".join(parts)

    def log(self, stage: str) -> str:
        """All that a stage wrote."""
        return (self.folder / "logs" / f"{stage}.log").read_text("utf-8", "replace")

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "streams.cli", *arguments, "--folder", str(self.folder)]

    def _says_it_is_up(self, pid: int) -> bool:
        try:
            return bool(json.loads(run_file(self.folder).read_text())["pid"] == pid)
        except (FileNotFoundError, ValueError):
            return False


def _stat(pid: int) -> tuple[str, int] | None:
    """State and parent of a process, from /proc; None where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent, *_ = text.rpartition(")")[2].split()
    return state, int(parent)


def is_alive(pid: int) -> bool:
    """True while it runs: a zombie only waits to be counted."""
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def children(parent: int) -> list[int]:
    """Processes that ``parent`` started and that run."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if (s := _stat(pid)) and s[1] == parent and s[0] != "Z"]


def descendants(ancestor: int) -> list[int]:
    """Children, and theirs."""
    direct = children(ancestor)
    return direct + [pid for child in direct for pid in descendants(child)]


def command_line(pid: int) -> list[str]:
    """What it was started with; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []
