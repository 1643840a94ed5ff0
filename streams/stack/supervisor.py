"""Supervised processes: started in order, started anew when they die, stopped in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sinks.channels import Backoff

log = logging.getLogger(__name__)

RESTART = Backoff(first=0.2, factor=2.0, cap=10.0)
HEALTHY_SECONDS = 30.0
"""A process that lived for so long begins a new count of restarts."""
STOP_SECONDS = 15.0
"""After that a process that was asked to end is killed: what it had not done, the next one does."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Command:
    """A process to run: its name, what to execute, and what it has on top of our environment."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervised:
    """Keeps one command running until it is stopped. Output goes to a log file.

    ``keep`` False: it is not started again when it dies; whoever waits for `ended` sees to it.
    """

    def __init__(self, command: Command, log_folder: Path, *, keep: bool = True) -> None:
        self.command = command
        self._keeps = keep
        self.log_file = log_folder / f"{command.name}.log"
        self.restarts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False
        self._random = random.Random()  # noqa: S311 - jitter

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process is not None else None

    @property
    def gave_up(self) -> bool:
        """True where it will not come up by itself: it ends again and again, or is not kept."""
        return self.restarts > 2 or (not self._keeps and self.pid is None)

    async def start(self) -> None:
        """Start the process; from now on it is kept running."""
        await self._spawn()
        if self._keeps:
            self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End the process: politely, then for good."""
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            log.warning("%s did not end in %.0f s and is killed", self.command.name, STOP_SECONDS)
            process.kill()
            await process.wait()

    async def ended(self) -> None:
        """Wait for the running process to end, however it does."""
        if self._process is not None:
            await self._process.wait()

    def last_words(self) -> str:
        """The last line that the process wrote: why it ended, if it said so."""
        try:
            lines = self.log_file.read_text("utf-8", "replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1] if lines else ""

    async def _spawn(self) -> None:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.command.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.command.environment},
                # Ctrl-C is for us: the stages are stopped in order.
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            assert self._process is not None  # noqa: S101 - start() has spawned it
            code = await self._process.wait()
            if self._stopping:
                return
            failures = 1 if loop.time() - started > HEALTHY_SECONDS else failures + 1
            wait = RESTART.delay(failures, self._random)
            log.warning(
                "%s ended with %s and is started again in %.1f s; its last line: %s",
                self.command.name,
                _ending(code),
                wait,
                self.last_words(),
            )
            await asyncio.sleep(wait)
            self.restarts += 1
            await self._spawn()


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _end_with_parent() -> None:
    """Let the kernel end a child whose supervisor was killed: nothing is left behind on a port."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
