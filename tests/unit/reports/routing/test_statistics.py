"""The interval of paired differences, against figures worked out by hand and tables."""

from __future__ import annotations

import math
import statistics

import pytest

from reports.routing.statistics import Differences, t_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(29, 2.04523), (30, 2.04227), (40, 2.02108), (60, 2.00030), (120, 1.97993), (10**9, 1.95996)],
)
def test_the_quantile_is_that_of_the_tables(freedom, quantile):
    # Two-sided 95 %: the column 0.975 of any printed table.
    assert t_quantile(0.975, freedom) == pytest.approx(quantile, abs=1e-5)


def test_the_interval_is_the_one_worked_out_by_hand():
    # 18 differences of -1 and 18 of 0: mean -0.5, s² = 36 · 0.25 / 35, error √(s² / 36) = 0.084515;
    # t(0.975; 35) = 2.030108, so ± 0.171575.
    low, high = Differences.of(36, -0.5, math.sqrt(9 / 35)).interval or (0, 0)
    assert (low, high) == pytest.approx((-0.671575, -0.328425), abs=2e-6)


def test_fewer_than_thirty_have_no_interval():
    assert Differences.of(29, 0.1, 0.2).interval is None
    assert Differences.of(30, 0.1, 0.2).interval is not None


def test_where_all_are_equal_nothing_says_how_much_they_vary():
    assert Differences.of(1000, 0.1, 0.0).interval is None
    assert Differences.of(1000, 0.1, 1e-17).interval is None


def test_pooled_samples_are_the_sample_of_all():
    samples = [[0.1, -0.2, 0.4], [0.9], [], [-0.3, 0.25, 0.25, 0.0]]
    pooled = Differences.pooled(
        Differences.of(
            len(one),
            statistics.fmean(one) if one else math.nan,
            statistics.stdev(one) if len(one) > 1 else math.nan,
        )
        for one in samples
    )
    whole = [value for one in samples for value in one]
    assert pooled.count == 8
    assert pooled.mean == pytest.approx(statistics.fmean(whole))
    assert pooled.deviation == pytest.approx(statistics.stdev(whole))
