"""What every stage does alike: run until told to stop, and try again while a neighbour is away."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from sinks.channels import Backoff
from sinks.clickhouse import ClickHouseError
from streams.health import beat, doing
from streams.metrics import RETRIES
from streams.schema_registry import RegistryUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = Backoff(first=0.2, factor=2.0, cap=10.0)
"""Between tries: short enough that a restart of the neighbour is hardly felt, and no hammering."""

GRACE_SECONDS = 3.0
"""For a try that is under way when the stage is told to stop: less than its supervisor waits."""

GARBAGE_THRESHOLDS = (100_000, 20, 20)
"""Allocations between collections. A batch is 50,000 records, all alive and none of them in a
cycle: at Python's 700 a sixth of the meter's time went into looking at them again and again."""


class Stopped(Exception):
    """The stage was told to stop while it was waiting. Not an error."""


async def persist(
    what: str,
    action: Callable[[], Awaitable[T]],
    stop: asyncio.Event,
    *,
    abandon: bool = False,
) -> T:
    """Do it until it works: for what only an absent broker or ClickHouse can make fail.

    Tries at least once, and logs one line per failed try. Raises Stopped when ``stop`` is set
    while it waits for the next; where ``abandon`` is set a try is broken off for it too, if it does
    not come through at once: it may wait for its neighbour for long.
    """
    attempt = 0
    rng = random.Random()  # noqa: S311 - jitter
    with doing(what):
        while True:
            try:
                return await (_unless(stop, action()) if abandon else action())
            except (ClickHouseError, KafkaError, ConnectionError) as error:
                attempt += 1
                wait = PATIENCE.delay(attempt, rng)
                log.warning("%s failed, next try in %.1f s: %s", what, wait, error)
                RETRIES.labels(_neighbour(error)).inc()
            await sleep_unless(stop, wait)
            if stop.is_set():
                raise Stopped


async def _unless(stop: asyncio.Event, action: Awaitable[T]) -> T:
    """Its result, or Stopped when ``stop`` is set and it does not come through then."""
    trying, stopping = asyncio.ensure_future(action), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({trying, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not trying.done():
            await asyncio.wait({trying}, timeout=GRACE_SECONDS)
        if not trying.done():
            raise Stopped
        return trying.result()
    finally:
        trying.cancel()
        stopping.cancel()
        await asyncio.gather(trying, stopping, return_exceptions=True)


def _neighbour(error: Exception) -> str:
    if isinstance(error, ClickHouseError):
        return "clickhouse"
    return "schema_registry" if isinstance(error, RegistryUnavailable) else "kafka"


async def sleep_unless(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until ``stop`` is set. Who pauses on purpose is alive."""
    beat()
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def run_stage(body: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a stage in this process until SIGTERM or SIGINT."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, stop.set)
        try:
            await body(stop)
        except Stopped:
            log.info("stopped while waiting")

    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    asyncio.run(main())


class OncePerPeriod(logging.Filter):
    """Lets a message through once per period: client libraries repeat one fault by the hundred."""

    def __init__(self, seconds: float = 30.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """True for the first of its kind in the period."""
        key = (record.name, str(record.msg))
        now = time.monotonic()
        if now - self._last.get(key, -self._seconds) < self._seconds:
            return False
        self._last[key] = now
        return True


def configure_logging(stage: str, level: str) -> None:
    """Log to standard error, one line per message, with the stage's name."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s %(levelname)-7s {stage}: %(message)s", "%H:%M:%S")
    )
    handler.addFilter(_own_or_warning)
    quiet = OncePerPeriod()
    for name in ("aiokafka", "faust", "mode", "kafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A timer that comes late under load catches up by itself.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)
    handler.addFilter(lambda record: record.name.startswith("streams") or quiet.filter(record))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _own_or_warning(record: logging.LogRecord) -> bool:
    own = record.name.startswith(("streams", "sinks", "schemas", "__main__"))
    return own or record.levelno >= logging.WARNING
