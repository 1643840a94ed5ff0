"""How much less the other tier costs, how sure that is, and whether its quality holds."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from reports.routing.figures import Pairs
from reports.routing.ratio import quality_verdict, saved_share
from reports.routing.statistics import Differences


def pairs_of(costs: list[tuple[Decimal, Decimal]], quality: Differences | None = None) -> Pairs:
    calls, shadows = [call for call, _ in costs], [shadow for _, shadow in costs]
    products = (
        sum((call * call for call in calls), Decimal(0)),
        sum((call * shadow for call, shadow in costs), Decimal(0)),
        sum((shadow * shadow for shadow in shadows), Decimal(0)),
    )
    return Pairs(
        "chat",
        "frontier",
        "cheap",
        len(costs),
        len(costs),
        sum(calls, Decimal(0)),
        sum(shadows, Decimal(0)),
        quality or Differences(),
        products,
    )


def judged(mean: float, deviation: float, count: int = 100) -> Pairs:
    return pairs_of([], Differences.of(count, mean, deviation))


def test_one_ratio_of_all_pairs_leaves_nothing_open():
    share = saved_share(pairs_of([(Decimal(n), Decimal(n) / 5) for n in range(1, 41)]))
    assert share is not None
    assert (share.low, share.high) == (Decimal("0.8"), Decimal("0.8"))


def test_the_interval_is_that_of_a_ratio_estimator():
    # Cochran (1977): R = Y/X, se = sqrt(n · Σ(y − R·x)² / (n − 1)) / X; t for 29 is 2.045230.
    costs = [(Decimal(2), Decimal(1)), (Decimal(2), Decimal("0.6"))] * 15
    share = saved_share(pairs_of(costs))
    assert share is not None
    error = Decimal((30 * (30 * 0.04) / 29) ** 0.5 / 60)
    assert abs(share.low - (Decimal("0.6") - Decimal("2.045230") * error)) < Decimal("1e-6")
    assert abs(share.high - (Decimal("0.6") + Decimal("2.045230") * error)) < Decimal("1e-6")


def test_nineteen_of_twenty_intervals_hold_the_true_share():
    dice, held = random.Random(4), 0
    for _ in range(400):
        costs = []
        for _ in range(60):
            call = Decimal(str(round(dice.uniform(1, 9), 3)))
            costs.append((call, call * Decimal(str(round(dice.uniform(0.1, 0.3), 3)))))
        share = saved_share(pairs_of(costs))
        assert share is not None
        held += share.low <= Decimal("0.8") <= share.high
    assert 365 <= held <= 395


def test_too_few_pairs_and_free_calls_say_nothing():
    assert saved_share(pairs_of([(Decimal(1), Decimal(1))] * 29)) is None
    assert saved_share(pairs_of([(Decimal(0), Decimal(1))] * 30)) is None


@pytest.mark.parametrize(
    ("mean", "deviation", "verdict"),
    [
        (0.0, 0.1, "holds"),
        (-0.02, 0.1, "holds"),
        (-0.045, 0.1, "open"),
        (-0.055, 0.1, "open"),
        (-0.09, 0.1, "worse"),
        (0.5, 9.0, "open"),
        (0.0, 0.0, "holds"),
        (-0.2, 0.0, "worse"),
    ],
)
def test_quality_holds_where_its_whole_interval_is_tolerated(mean, deviation, verdict):
    assert quality_verdict(judged(mean, deviation), Decimal("0.05")) == verdict


def test_quality_is_open_where_few_were_judged():
    assert quality_verdict(judged(0.0, 0.0, count=29), Decimal("0.05")) == "open"
