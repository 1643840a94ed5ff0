"""Runs the idiomatic faust agent in a process of its own, on the broker of the others."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

from benchmarks.broker import Rate
from benchmarks.meter import PATIENCE_SECONDS, TooSlow
from streams.settings import Settings


async def read_with_faust(settings: Settings, count: int, folder: Path) -> Rate:
    """Events per second that the agent consumes, from its first event to the last of ``count``."""
    result = folder / "faust-seconds"
    result.unlink(missing_ok=True)
    with (folder / "faust.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.faust_agent"),
            *(settings.kafka, str(count), str(result)),
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (result.exists() and (text := result.read_text())):
            if process.returncode is not None or time.monotonic() > deadline:
                words = (folder / "faust.log").read_text("utf-8", "replace").strip()
                raise TooSlow(f"the faust agent did not finish: {words[-500:]}")
            await asyncio.sleep(0.05)
        return Rate(count, float(text))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
