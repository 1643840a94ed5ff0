"""How much less a call costs on the other tier, and how sure that is. Exact money, pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from reports.routing.figures import EXACT, Pairs
from reports.routing.statistics import CONFIDENCE, FEWEST, t_quantile

Verdict = Literal["holds", "open", "worse"]
"""Of quality on the other tier: shown not to be lower than is tolerated; not known; shown to be."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a call's cost that the other tier saves: at least, at most. Below zero it is
    dearer."""

    low: Decimal
    high: Decimal


def saved_share(pairs: Pairs) -> Share | None:
    """1 less the ratio of the shadows' cost to the calls', with its 95 % confidence interval.

    The interval is that of a ratio estimator: Cochran, "Sampling Techniques" (1977), 6.3 and 6.5.
    None for fewer than `FEWEST` compared pairs, or calls that cost nothing.
    """
    if pairs.compared < FEWEST or pairs.call_cost <= 0:
        return None
    ratio = EXACT.divide(pairs.shadow_cost, pairs.call_cost)
    share = EXACT.subtract(Decimal(1), ratio)
    half = EXACT.multiply(_quantile(pairs.compared - 1), _error(pairs, ratio))
    return Share(EXACT.subtract(share, half), EXACT.add(share, half))


def quality_verdict(pairs: Pairs, tolerated: Decimal) -> Verdict:
    """Whether the mean quality is at most ``tolerated`` below that of the calls, by its interval.

    Where all differences are equal there is no interval, and each of them says it.
    """
    quality, most = pairs.quality, -float(tolerated)
    if quality.count < FEWEST:
        return "open"
    low, high = quality.interval or (quality.mean, quality.mean)
    if low >= most:
        return "holds"
    return "worse" if high < most else "open"


def _error(pairs: Pairs, ratio: Decimal) -> Decimal:
    """Standard error of the ratio: of shadow less ratio times call, over the calls' mean cost."""
    if pairs.products is None:
        return Decimal(0)
    calls, both, shadows = pairs.products
    squares = EXACT.subtract(shadows, EXACT.multiply(EXACT.multiply(Decimal(2), ratio), both))
    squares = EXACT.add(squares, EXACT.multiply(EXACT.multiply(ratio, ratio), calls))
    variance = EXACT.divide(max(squares, Decimal(0)), Decimal(pairs.compared - 1))
    deviation = EXACT.sqrt(EXACT.multiply(variance, Decimal(pairs.compared)))
    return EXACT.divide(deviation, pairs.call_cost)


def _quantile(freedom: int) -> Decimal:
    return Decimal(str(t_quantile((1 + CONFIDENCE) / 2, freedom)))
