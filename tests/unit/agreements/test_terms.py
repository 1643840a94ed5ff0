"""Terms against figures that were worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from streams.agreements.book import Agreement, Commitment, Step, Volume
from streams.agreements.distribute import distribute
from streams.agreements.terms import (
    Eligible,
    break_even,
    next_step,
    settle,
    step_reached,
    utilisation,
)

DOLLAR = 10**12
STEPS = (
    Step(above=Decimal(10_000), percent=Decimal(5)),
    Step(above=Decimal(50_000), percent=Decimal(10)),
)


def agreement(**terms: object) -> Agreement:
    return Agreement(name="a", provider="acme", effective_from=date(2026, 1, 1), **terms)


def volume(rebate_on: str, measure: str = "spend", steps: tuple[Step, ...] = STEPS) -> Volume:
    return Volume(rebate_on=rebate_on, measure=measure, steps=steps)


@pytest.mark.parametrize(
    ("spend", "part_above", "whole_month", "step"),
    [
        (9_999, 0, 0, None),
        (10_000, 0, 0, None),
        (20_000, 500, 1_000, 5),
        (50_000, 2_000, 2_500, 5),
        (60_000, 3_000, 6_000, 10),
    ],
)
def test_a_rebate_is_off_the_part_above_or_off_all(spend, part_above, whole_month, step):
    eligible = Eligible(spend * DOLLAR)
    for rebate_on, rebate in (("part_above", part_above), ("whole_month", whole_month)):
        terms = volume(rebate_on)
        found = settle(agreement(volume=terms), eligible)
        assert found.rebate == found.saved == rebate * DOLLAR
        reached = step_reached(terms, eligible)
        assert (reached.percent if reached else None) == step


def test_the_next_step_says_how_far_it_is():
    terms = volume("part_above")
    assert next_step(terms, Eligible(0)) == (STEPS[0], 10_000 * DOLLAR)
    assert next_step(terms, Eligible(20_000 * DOLLAR)) == (STEPS[1], 30_000 * DOLLAR)
    assert next_step(terms, Eligible(60_000 * DOLLAR)) is None


def test_steps_in_tokens_take_their_share_of_the_spend():
    steps = (Step(above=Decimal(1000), percent=Decimal(20)),)
    eligible = Eligible(90 * DOLLAR, 3000)
    part = settle(agreement(volume=volume("part_above", "tokens", steps)), eligible)
    assert (part.rebate, part.covered) == (12 * DOLLAR, 60 * DOLLAR)
    assert part.coverage == Fraction(2, 3)
    whole = settle(agreement(volume=volume("whole_month", "tokens", steps)), eligible)
    assert whole.rebate == 18 * DOLLAR


@pytest.mark.parametrize(
    ("spend", "overage", "owed", "shortfall", "used", "covered"),
    [
        (0, "list", 850, 850, "0", 0),
        (400, "list", 850, 510, "0.4", 400),
        (850, "list", 850, 127.5, "0.85", 850),
        (1000, "list", 850, 0, "1", 1000),
        (1200, "list", 1050, 0, "1", 1000),
        (1200, "discounted", 1020, 0, "1", 1200),
    ],
)
def test_a_commitment_of_850_at_15_percent_covers_1000(
    spend, overage, owed, shortfall, used, covered
):
    terms = Commitment(monthly_usd=Decimal(850), percent=Decimal(15), overage=overage)
    found = settle(agreement(commitment=terms), Eligible(spend * DOLLAR))
    assert found.owed == owed * DOLLAR
    assert found.shortfall == shortfall * DOLLAR
    assert utilisation(terms, found) == Fraction(used)
    assert found.covered == covered * DOLLAR
    assert break_even(terms) == 850 * DOLLAR
    assert (found.saved > 0) == (spend > 850)


def test_no_spend_has_no_coverage():
    assert settle(agreement(volume=volume("part_above")), Eligible(0)).coverage is None


def test_what_cannot_be_cut_evenly_goes_to_who_lost_most_and_of_equals_to_the_first():
    assert distribute(100, {"a": 1, "b": 1, "c": 1}) == {"a": 34, "b": 33, "c": 33}
    assert distribute(-100, {"a": 1, "b": 1, "c": 1}) == {"a": -33, "b": -33, "c": -34}
    assert distribute(10, {"a": 55, "b": 45, "c": 0}) == {"a": 6, "b": 4, "c": 0}
