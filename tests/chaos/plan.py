"""Which faults are played, in which order, and together with which. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos.fault import Fault

STARTING_SECONDS = 30.0
MIXED_SECONDS = 25.0
"""About how long a round of the mixed phase takes."""
TOGETHER = 0.7
"""Share of the mixed rounds that have two faults."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``singles`` are played one by one; what is left of the time is mixed, where it is to be."""

    singles: tuple[Fault, ...]
    left_out: tuple[Fault, ...]
    mixed: bool


def made(
    faults: Sequence[Fault], seconds: float, dice: Random, *, all_of_them: bool, mixed_only: bool
) -> Plan:
    """What fits into the time. Where not all do, the dice say which; ``all_of_them``: whatever
    the time, and nothing else."""
    if mixed_only:
        return Plan((), (), mixed=True)
    if all_of_them:
        return Plan(tuple(faults), (), mixed=False)
    left = seconds - STARTING_SECONDS
    chosen: set[str] = set()
    for fault in dice.sample(faults, len(faults)):
        if fault.seconds <= left:
            chosen.add(fault.name)
            left -= fault.seconds
    return Plan(
        tuple(fault for fault in faults if fault.name in chosen),
        tuple(fault for fault in faults if fault.name not in chosen),
        mixed=True,
    )


def drawn(faults: Sequence[Fault], dice: Random) -> list[Fault]:
    """The faults of one mixed round: one, or two that hurt different parts."""
    first = dice.choice(faults)
    others = [fault for fault in faults if not fault.touches & first.touches]
    if not others or dice.random() > TOGETHER:
        return [first]
    return [first, dice.choice(others)]
