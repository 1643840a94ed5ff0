"""Four layers, what each is measured by, and the levels that follow. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from reports.figures.figure import Figure, Kind

Layer = Literal["visibility", "routing", "prompts", "vendors"]
LEVELS = ("not begun", "begun", "in use", "managed")
"""Level 0 to 3."""
TOP = len(LEVELS) - 1


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a layer is measured by.

    ``needs``: for level 1, 2 and 3 what the figure must be, at least (``at_most``: at most); None
    where a level does not ask for it. ``sql``: an expression over ``source``.
    """

    name: str
    layer: Layer
    title: str
    kind: Kind
    needs: tuple[Decimal | None, Decimal | None, Decimal | None]
    sql: str
    definition: str
    source: str = "ledger"
    at_most: bool = False

    def met(self, value: Decimal | int | None, level: int) -> bool:
        """Whether the figure will do for this level (1 to 3). What is not known will not."""
        need = self.needs[level - 1]
        if need is None:
            return True
        if value is None:
            return False
        return value <= need if self.at_most else value >= need

    def level(self, value: Decimal | int | None) -> int:
        """The highest level for which it, and every level below, is met."""
        level = 0
        while level < TOP and self.met(value, level + 1):
            level += 1
        return level

    @property
    def highest(self) -> int:
        """The highest level that asks for something."""
        return max(level for level, need in enumerate(self.needs, start=1) if need is not None)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A criterion with its figure, and the level that the layer could have by it alone."""

    criterion: Criterion
    figure: Figure
    level: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A layer is at the lowest level of its evidence: ``holding`` is what keeps it there."""

    layer: Layer
    level: int
    evidence: tuple[Evidence, ...]

    @property
    def holding(self) -> tuple[Evidence, ...]:
        """What must improve for the next level; empty at the highest."""
        if self.level == TOP:
            return ()
        return tuple(one for one in self.evidence if one.level == self.level)


def standing(
    layer: Layer, criteria: tuple[Criterion, ...], figures: Mapping[str, Figure]
) -> Standing:
    """Where the layer stands by these figures, which have the names of the criteria."""
    evidence = tuple(
        Evidence(one, figures[one.name], one.level(figures[one.name].value))
        for one in criteria
        if one.layer == layer
    )
    return Standing(layer, min(one.level for one in evidence), evidence)
