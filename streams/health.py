"""Is the stage alive, and is it ready? Both are judged by the work that it has begun.

Work has a name, and makes a promise: to give a sign of life within a time. Whoever breaks it is
stuck, and the stage is not alive: only a new process helps. Waiting for a neighbour breaks no
promise, as no new process would help: to try again is a sign of life, a request to ClickHouse is
ended by its driver, and while the broker does not answer everybody is excused. Such a stage is
alive; and not ready, once a turn of its work or the broker's silence has lasted for too long.

All of it may be called from any thread. Outside of a stage that is watched it does nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from streams.lag import Behind
from streams.work import ALIVE_SECONDS, READY_SECONDS, Work, never

Answer = tuple[int, dict[str, Any]]
"""HTTP status and a body for JSON."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a stage says of itself when it is asked: from memory, at once, from any thread.

    ``queued``: what is held in memory, by name.
    """

    ready: bool
    doing: str
    behind: Behind = field(default_factory=Behind)
    queued: Mapping[str, int] = field(default_factory=dict)


class Health:
    """What is known of one stage's health. ``status`` is the stage's own word."""

    def __init__(
        self, stage: str, status: Callable[[], Status], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stage = stage
        self.status = status
        self.clock = clock
        self._works: set[Work] = set()
        self._done: dict[str, float] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Work that is begun in this context, and in tasks and threads begun from it, is seen."""
        token = _health.set(self)
        try:
            yield
        finally:
            _health.reset(token)

    def add(self, work: Work) -> None:
        """From now on its promise counts."""
        self._works.add(work)

    def remove(self, work: Work) -> None:
        """It has ended."""
        self._works.discard(work)

    def note(self, step: str) -> None:
        """The step was done now."""
        self._done[step] = self.clock()

    def ages(self, status: Status) -> dict[str, float]:
        """Seconds since each step was last done; one that never was is not there."""
        now = self.clock()
        ages = {step: now - at for step, at in tuple(self._done.items())}
        if status.behind.silence is not None:
            ages["fetch"] = status.behind.silence
        return ages

    def anybody_is_late(self) -> bool:
        """True where somebody has been silent for so long that the broker should be asked."""
        for work in tuple(self._works):
            work.forgive()
        return any(work.is_late() for work in self._answerable())

    def excuse(self) -> None:
        """A neighbour does not answer: whoever is silent may be waiting for it."""
        for work in tuple(self._works):
            if work.is_late():
                work.beat()

    def alive(self) -> Answer:
        """`/healthz`: 200, or 503 and what is stuck."""
        stuck = self._stuck()
        body = {"stage": self.stage, "alive": not stuck, "stuck": stuck}
        return (503 if stuck else 200), body

    def ready(self) -> Answer:
        """`/readyz`: 200 where the stage does its work, else 503; and how far it is."""
        status = self.status()
        lag = status.behind.lag
        stuck = self._stuck()
        stalled = [work.described() for work in tuple(self._works) if work.is_stalled()]
        doing = status.doing
        silent = (status.behind.silence or 0.0) > READY_SECONDS
        if silent:
            doing += f"; the broker has not answered for {status.behind.silence:.0f} s"
        ready = status.ready and not (stuck or stalled or silent)
        return (200 if ready else 503), {
            "stage": self.stage,
            "ready": ready,
            "doing": doing,
            "stuck": stuck,
            "stalled": stalled,
            "lag": {f"{tp.topic}[{tp.partition}]": n for tp, n in sorted(lag.items())},
            "queued": dict(status.queued),
            "age_seconds": {step: round(age, 3) for step, age in self.ages(status).items()},
        }

    def _stuck(self) -> list[dict[str, Any]]:
        return [work.described() for work in self._answerable() if work.is_overdue()]

    def _answerable(self) -> list[Work]:
        """Work that waits for a part which keeps its promise owes nothing of its own."""
        works = tuple(self._works)
        waiting = {whole for work in works if not work.is_overdue() for whole in work.wholes()}
        return [work for work in works if work not in waiting]


_health: ContextVar[Health | None] = ContextVar("health", default=None)
_work: ContextVar[Work | None] = ContextVar("work", default=None)


def heartbeat(name: str, excused: Callable[[], bool] = never) -> Work:
    """Work that never ends, and is part of no other: whoever does it gives it signs of life.

    ``excused``: while that says so, nothing is expected of it.
    """
    health = _health.get()
    work = Work(name, health.clock if health else time.monotonic, excused=excused)
    if health is not None:
        health.add(work)
    return work


@contextmanager
def working(
    name: str,
    excused: Callable[[], bool] = never,
    *,
    limit: float = ALIVE_SECONDS,
    awaited: bool = True,
) -> Iterator[Work]:
    """Work that begins and ends here, as part of the work that is under way, if any.

    `beat`, in this context and in tasks and threads begun from it, is its sign of life, and comes
    within ``limit`` seconds. Where it is not ``awaited`` the stage is ready however long it takes.
    """
    health = _health.get()
    clock = health.clock if health else time.monotonic
    work = Work(name, clock, _work.get(), excused, limit=limit, awaited=awaited)
    token = _work.set(work)
    if health is not None:
        health.add(work)
    try:
        yield work
    finally:
        _work.reset(token)
        if health is not None:
            health.remove(work)
        if work.whole is not None:
            work.whole.beat()


@contextmanager
def resuming(work: Work) -> Iterator[None]:
    """A new turn of work that never ends: what happens in it is a sign of its life."""
    work.begin()
    token = _work.set(work)
    try:
        yield
    finally:
        _work.reset(token)


def apart(body: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task whose signs of life are not those of the work that it is begun from."""
    context = copy_context()
    context.run(_work.set, None)
    return asyncio.create_task(body, context=context)


def beat(within: float | None = None) -> None:
    """A sign of life of the work that is under way, if any."""
    if (work := _work.get()) is not None:
        work.beat(within)


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say what the work that is under way does now, for whoever asks why it takes so long."""
    work = _work.get()
    if work is None:
        yield
        return
    before, work.doing = work.doing, what
    try:
        yield
    finally:
        work.doing = before


def done(step: str) -> None:
    """A step was done: poll, append, commit or flush. Its age is a metric."""
    if (health := _health.get()) is not None:
        health.note(step)
