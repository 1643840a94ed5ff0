"""Paired differences: their mean, and how sure it is. Quality is no money, so floats serve."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

FEWEST = 30
"""Below it no interval is given: the mean of so few scores, which mostly are bounded and skewed,
is not near enough to normal for one (the usual rule of thumb for the central limit theorem)."""
CONFIDENCE = 0.95
_NO_SPREAD = 1e-9
"""Standard deviation up to which differences are equal but for rounding."""


@dataclass(frozen=True, slots=True)
class Differences:
    """``count`` paired differences, their mean, and the sum of squares of deviations from it."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, count: int, mean: float, deviation: float) -> Differences:
        """``deviation``: sample standard deviation (n - 1); of a single difference there is none,
        whatever is given."""
        if count == 0:
            return cls()
        return cls(count, mean, deviation**2 * (count - 1) if count > 1 else 0.0)

    @classmethod
    def pooled(cls, parts: Iterable[Differences]) -> Differences:
        """All of them as one sample: Chan, Golub, LeVeque, "Updating Formulae and a Pairwise
        Algorithm for Computing Sample Variances" (1979)."""
        whole = cls()
        for part in parts:
            count = whole.count + part.count
            if count == 0:
                continue
            apart = part.mean - whole.mean
            whole = cls(
                count,
                whole.mean + apart * part.count / count,
                whole.squares + part.squares + apart**2 * whole.count * part.count / count,
            )
        return whole

    @property
    def deviation(self) -> float:
        """Sample standard deviation; 0 of fewer than two."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """Two-sided 95 % confidence interval of the mean, by the paired t test: mean ± t · s / √n.

        None for fewer than `FEWEST`, and where all are equal: then nothing says how much they vary.
        """
        if self.count < FEWEST or self.deviation <= _NO_SPREAD:
            return None
        error = self.deviation / math.sqrt(self.count)
        half = t_quantile((1 + CONFIDENCE) / 2, self.count - 1) * error
        return self.mean - half, self.mean + half


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t distribution: Abramowitz and Stegun, 26.7.5 (1964).

    A series about the normal quantile; from 29 degrees of freedom on right to five decimals.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))
