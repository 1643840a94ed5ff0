"""Invoice and ledger by day, model and kind of tokens: what their attribution starts from.

Money is in whole pico-dollars here, so that parts add up exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from streams.invoices.line import CLASSES

Tokens = dict[str, int]
"""Kind of tokens → how many."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A day of the comparison and a model; the model is empty for what is charged without one.

    Where an invoice has lines for whole months, the day is the first of the month.
    """

    day: date
    model: str = ""


@dataclass(slots=True)
class Theirs:
    """What the invoice says of a cell. ``usd`` by kind of tokens; ``other`` is usage of no kind
    that is known; ``beside``: fees, credits and taxes. ``uncounted``: kinds without a count."""

    usd: dict[str, int] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=dict)
    uncounted: set[str] = field(default_factory=set)
    other: int = 0
    beside: dict[str, int] = field(default_factory=dict)

    @property
    def usage(self) -> int:
        """What it charges for usage."""
        return sum(self.usd.values()) + self.other

    @property
    def total(self) -> int:
        """All that it charges."""
        return self.usage + sum(self.beside.values())


@dataclass(slots=True)
class Ours:
    """What was metered of a cell. ``unpriced``: tokens without a cost; the others cost ``cost``."""

    cost: int = 0
    tokens: Tokens = field(default_factory=dict)
    unpriced: Tokens = field(default_factory=dict)

    def add(self, cost: int, tokens: Mapping[str, int], *, priced: bool) -> None:
        """Add so much."""
        self.cost += cost
        counted = self.tokens if priced else self.unpriced
        for name, count in tokens.items():
            counted[name] = counted.get(name, 0) + count

    def all_tokens(self, name: str) -> int:
        """Tokens of a kind, with a cost and without."""
        return self.tokens.get(name, 0) + self.unpriced.get(name, 0)

    @property
    def total_tokens(self) -> int:
        """Tokens of all kinds."""
        return sum(map(self.all_tokens, CLASSES))


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-dollars per token of a kind, for one model and day."""

    known: Mapping[str, Fraction]

    def get(self, name: str) -> Fraction | None:
        """The rate; None where none is known."""
        return self.known.get(name)
