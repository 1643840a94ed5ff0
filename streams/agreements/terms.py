"""What a month comes to under an agreement: pure, in whole pico-dollars (1e-12 USD), exact.

``spend`` is what the ledger counted by price lists: before the agreement. Formulas:

- part_above: sum over steps of percent x (spend between the step and the next one)
- whole_month: percent of the highest step passed x spend
- by tokens: the spend of a part is its share of the tokens x spend
- committed use: a commitment of C at discount d covers spend up to C / (1 - d). What is owed is
  C + overage, and the overage is what lies above that, at list or with the same discount. Below,
  the shortfall is C - spend x (1 - d). It pays from a spend of C on, where both ways cost alike.

Each amount is rounded once, half to even.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from streams.agreements.book import Agreement, Commitment, Step, Volume, pico_of


@dataclass(frozen=True, slots=True)
class Eligible:
    """What an agreement covers of a month: pico-dollars, and tokens of all buckets."""

    spend: int
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """A month under an agreement, in pico-dollars.

    ``rebate``: off the spend. ``shortfall``: owed for a commitment beyond what was used of it.
    ``covered``: spend that the terms reduce. ``used``: of a commitment.
    """

    eligible: Eligible
    rebate: int = 0
    covered: int = 0
    shortfall: int = 0
    used: int = 0

    @property
    def owed(self) -> int:
        """What the month costs under the agreement."""
        return self.eligible.spend - self.rebate + self.shortfall

    @property
    def saved(self) -> int:
        """Less than without it; negative where it costs more."""
        return self.eligible.spend - self.owed

    @property
    def coverage(self) -> Fraction | None:
        """Share of the spend that the terms reduce; None: there is no spend."""
        spend = self.eligible.spend
        return Fraction(self.covered, spend) if spend > 0 else None


def settle(agreement: Agreement, eligible: Eligible) -> Settled:
    """What the month comes to. A month of credits alone (negative spend) earns no rebate."""
    if agreement.commitment is not None:
        return _commitment(agreement.commitment, eligible)
    if agreement.volume is not None:
        return _volume(agreement.volume, eligible)
    return Settled(eligible)


def step_reached(volume: Volume, eligible: Eligible) -> Step | None:
    """The highest step that the month is above; None: below all."""
    measured = _measured(volume, eligible)
    return next((step for step in reversed(volume.steps) if measured > _above(volume, step)), None)


def next_step(volume: Volume, eligible: Eligible) -> tuple[Step, int] | None:
    """The next step, and how much more reaches it: pico-dollars, or tokens. None: none is left."""
    measured = max(0, _measured(volume, eligible))
    for step in volume.steps:
        if measured <= _above(volume, step):
            return step, _above(volume, step) - measured
    return None


def utilisation(commitment: Commitment, settled: Settled) -> Fraction:
    """Share of the commitment that is used, from 0 to 1."""
    return Fraction(settled.used, pico_of(commitment.monthly_usd))


def break_even(commitment: Commitment) -> int:
    """The spend of a month from which on the commitment costs less than none, pico-dollars."""
    return pico_of(commitment.monthly_usd)


def _volume(volume: Volume, eligible: Eligible) -> Settled:
    spend = max(0, eligible.spend)
    measured = max(0, _measured(volume, eligible))
    reached = [step for step in volume.steps if measured > _above(volume, step)]
    if not reached:
        return Settled(eligible)
    if volume.rebate_on == "whole_month":
        return Settled(eligible, _rounded(spend * _share(reached[-1].percent)), spend)
    rebate = Fraction(0)
    ends = [*(_above(volume, step) for step in reached[1:]), measured]
    for step, end in zip(reached, ends, strict=True):
        part = Fraction(end - _above(volume, step), measured) * spend
        rebate += part * _share(step.percent)
    covered = Fraction(measured - _above(volume, reached[0]), measured) * spend
    return Settled(eligible, _rounded(rebate), _rounded(covered))


def _commitment(commitment: Commitment, eligible: Eligible) -> Settled:
    spend, committed = max(0, eligible.spend), pico_of(commitment.monthly_usd)
    limit = committed / _left(commitment.percent)
    inside = min(Fraction(spend), limit)
    covered = Fraction(spend) if commitment.overage == "discounted" else inside
    rebate = _rounded(covered * _share(commitment.percent))
    # Spend less rebate, not rounded by itself: used and shortfall are the commitment, exactly.
    used = committed if spend > limit else spend - rebate
    return Settled(eligible, rebate, _rounded(covered), committed - used, used)


def _measured(volume: Volume, eligible: Eligible) -> int:
    return eligible.spend if volume.measure == "spend" else eligible.tokens


def _above(volume: Volume, step: Step) -> int:
    return pico_of(step.above) if volume.measure == "spend" else int(step.above)


def _share(percent: Decimal) -> Fraction:
    return Fraction(percent) / 100


def _left(percent: Decimal) -> Fraction:
    return 1 - _share(percent)


def _rounded(amount: Fraction) -> int:
    return round(amount)
