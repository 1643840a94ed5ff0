"""What a fault is, and how a function becomes one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from tests.chaos.world import World

Strike = Callable[[World, Random], Awaitable[float]]
"""Injects the fault and heals it; returns when (monotonic) recovery began: for a kill, which the
supervisor heals, the moment of it; for everything else the moment after the healing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``touches``: parts that it hurts; two faults go together where they share none. ``seconds``:
    about how long a round with it takes, for the plan."""

    name: str
    line: str
    strike: Strike
    touches: frozenset[str]
    seconds: float


LISTED: list[Fault] = []


def fault(name: str, line: str, *touches: str, seconds: float = 12.0) -> Callable[[Strike], Strike]:
    """Put a function on the list."""

    def listed(strike: Strike) -> Strike:
        LISTED.append(Fault(name, line, strike, frozenset(touches), seconds))
        return strike

    return listed
