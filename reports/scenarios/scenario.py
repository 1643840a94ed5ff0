"""A scenario over lines of spend: pure, exact, a range wherever a change is one.

What changes is multiplied by the price's factor and the usage's; the rest stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
"""Decimal's default of 28 digits would round the 38 that a sum can hold."""

_PICO = 10**12


@dataclass(frozen=True, slots=True)
class Change:
    """What a price or a usage is multiplied by: at least, at most."""

    low: Fraction
    high: Fraction

    def __mul__(self, other: Change) -> Change:
        return Change(self.low * other.low, self.high * other.high)


UNCHANGED = Change(Fraction(1), Fraction(1))


@dataclass(frozen=True, slots=True)
class Line:
    """Past spend of a team with a model, exact USD; ``cost`` None: of no call it is known.

    ``provider``, ``model``: as the events say.
    """

    provider: str
    model: str
    team: str
    calls: int
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """``price`` and ``usage``: the changes; of ``provider`` and ``model`` only, where they are
    named (in any case)."""

    price: Change
    usage: Change
    provider: str | None = None
    model: str | None = None

    @property
    def change(self) -> Change:
        """Both together."""
        return self.price * self.usage

    def touches(self, provider: str, model: str) -> bool:
        """Whether it changes this model's spend."""
        return all(
            wanted is None or wanted.casefold() == name.casefold()
            for wanted, name in ((self.provider, provider), (self.model, model))
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ``name`` cost, USD, and what it would cost: at least, at most; None: not known."""

    name: str
    base: Decimal | None
    low: Decimal | None
    high: Decimal | None

    @property
    def more(self) -> tuple[Decimal, Decimal] | None:
        """USD more than the base; negative for less."""
        if self.base is None or self.low is None or self.high is None:
            return None
        return EXACT.subtract(self.low, self.base), EXACT.subtract(self.high, self.base)


def outcome(name: str, lines: Iterable[Line], scenario: Scenario) -> Outcome:
    """Of all these lines. Rounded once, to 1e-12 USD, half to even."""
    changed = rest = Fraction(0)
    known = False
    for line in lines:
        if line.cost is None:
            continue
        known = True
        if scenario.touches(line.provider, line.model):
            changed += Fraction(line.cost)
        else:
            rest += Fraction(line.cost)
    if not known:
        return Outcome(name, None, None, None)
    change = scenario.change
    # Credits may make a sum negative: then the ends change places.
    ends = [rest + changed * factor for factor in (change.low, change.high)]
    return Outcome(name, usd(rest + changed), usd(min(ends)), usd(max(ends)))


def outcomes_by(
    key: Callable[[Line], str], lines: Sequence[Line], scenario: Scenario
) -> list[Outcome]:
    """One for each key, the largest base first. Each is rounded by itself."""
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    found = [outcome(name, group, scenario) for name, group in groups.items()]
    return sorted(found, key=lambda one: (one.base is None, -(one.base or 0), one.name))


def usd(amount: Fraction) -> Decimal:
    """Rounded to 1e-12 USD, half to even."""
    return Decimal(round(amount * _PICO)).scaleb(-12, EXACT)
