"""Twelve months of steps: those that save most first, each after what it needs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from reports.maturity.steps import Step
from reports.savings.model import Kind, Range

QUARTERS = 4
MONTHS = 3
"""In each of them."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A step in months ``first`` to ``last`` (1 to 12). ``saving``: USD in as many days as were
    looked at; None: not known."""

    step: Step
    first: int
    last: int
    saving: Range | None


def roadmap(
    steps: Sequence[Step], done: Collection[str], savings: Mapping[Kind, Range | None]
) -> list[Planned]:
    """What is not done yet, over four quarters; in each, what is worth most comes first.

    A step comes a quarter after what it needs, at the earliest; it is worth what it saves, and what
    it makes possible. ``savings``: by kind, None or left out where nothing is known.
    """
    left = [step for step in steps if step.name not in done]
    worth = {step.name: _worth(step, left, savings) for step in left}
    ordered = sorted(left, key=lambda step: -worth[step.name])  # stable: else as they are listed
    room = -(-len(left) // QUARTERS)
    quarters: list[list[Step]] = [[] for _ in range(QUARTERS)]
    placed: dict[str, int] = {}
    while len(placed) < len(left):
        for step in ordered:
            if step.name in placed:
                continue
            needs = [name for name in step.after if name not in done]
            if not all(name in placed for name in needs):
                continue
            earliest = max((placed[name] + 1 for name in needs), default=0)
            place = _place(quarters, min(earliest, QUARTERS - 1), room)
            quarters[place].append(step)
            placed[step.name] = place
            break
    return [
        Planned(step, index * MONTHS + 1, (index + 1) * MONTHS, _saving(step, savings))
        for index, quarter in enumerate(quarters)
        for step in quarter
    ]


def _place(quarters: Sequence[Sequence[Step]], earliest: int, room: int) -> int:
    """The first quarter from there on with room; the last one takes what has none."""
    for index in range(earliest, QUARTERS):
        if len(quarters[index]) < room:
            return index
    return QUARTERS - 1


def _saving(step: Step, savings: Mapping[Kind, Range | None]) -> Range | None:
    return None if step.saves is None else savings.get(step.saves)


def _worth(step: Step, steps: Sequence[Step], savings: Mapping[Kind, Range | None]) -> Decimal:
    """The cautious saving of the step, and of all that waits for it."""
    saving = _saving(step, savings)
    own = Decimal(0) if saving is None else saving.low
    return own + sum(
        (_worth(other, steps, savings) for other in steps if step.name in other.after), Decimal(0)
    )
