"""Agreements: more spend never earns less, a commitment is always paid, parts add up exactly."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.agreements.book import Agreement, Commitment, Step, Volume, pico_of
from streams.agreements.distribute import differences, distribute
from streams.agreements.terms import Eligible, break_even, settle, utilisation

SPEND = st.integers(0, 10**19)
PERCENT = st.decimals("0.01", "99.99", places=2)
USD = st.decimals("0.01", "999999.99", places=2)


@st.composite
def volumes(draw: st.DrawFn, measure: str = "spend") -> Agreement:
    above = sorted(draw(st.sets(st.integers(1, 10**6), min_size=1, max_size=4)))
    percents = sorted(draw(st.sets(st.integers(1, 99), min_size=len(above), max_size=len(above))))
    steps = tuple(
        Step(above=Decimal(start), percent=Decimal(percent))
        for start, percent in zip(above, percents, strict=True)
    )
    rebate_on = draw(st.sampled_from(["part_above", "whole_month"]))
    return agreement(volume=Volume(measure=measure, rebate_on=rebate_on, steps=steps))


@st.composite
def commitments(draw: st.DrawFn) -> Agreement:
    return agreement(
        commitment=Commitment(
            monthly_usd=draw(USD),
            percent=draw(PERCENT),
            overage=draw(st.sampled_from(["list", "discounted"])),
        )
    )


def agreement(**terms: object) -> Agreement:
    return Agreement(name="a", provider="acme", effective_from=date(2026, 1, 1), **terms)


@given(volumes(), SPEND, SPEND)
def test_more_spend_never_earns_a_smaller_rebate(signed, one, other):
    less, more = (settle(signed, Eligible(spend)) for spend in sorted((one, other)))
    assert 0 <= less.rebate <= more.rebate
    assert less.shortfall == more.shortfall == 0


@given(volumes("tokens"), SPEND, st.integers(0, 10**7), st.integers(0, 10**7))
def test_more_tokens_at_the_same_cost_never_earn_a_smaller_rebate(signed, spend, one, other):
    less, more = (settle(signed, Eligible(spend, tokens)) for tokens in sorted((one, other)))
    assert 0 <= less.rebate <= more.rebate <= spend


@given(volumes(), SPEND)
def test_a_rebate_is_at_most_the_highest_percentage_of_the_spend(signed, spend):
    assert signed.volume is not None
    found = settle(signed, Eligible(spend))
    assert found.rebate <= spend * signed.volume.steps[-1].percent / 100 + 1
    assert found.owed + found.rebate == spend
    assert 0 <= found.covered <= spend


@given(commitments(), SPEND, SPEND)
def test_a_commitment_is_always_paid_and_more_use_never_costs_less(signed, one, other):
    assert signed.commitment is not None
    committed = pico_of(signed.commitment.monthly_usd)
    less, more = (settle(signed, Eligible(spend)) for spend in sorted((one, other)))
    assert committed <= less.owed <= more.owed
    for found in (less, more):
        assert found.used + found.shortfall == committed
        assert 0 <= utilisation(signed.commitment, found) <= 1
        assert 0 <= found.covered <= found.eligible.spend


@given(commitments(), SPEND)
def test_a_commitment_pays_above_its_break_even_and_not_below(signed, spend):
    assert signed.commitment is not None
    even = break_even(signed.commitment)
    assert settle(signed, Eligible(even)).saved == 0
    saved = settle(signed, Eligible(spend)).saved
    assert saved <= 0 if spend <= even else saved >= 0


@given(volumes() | commitments(), st.integers(-(10**19), 0))
def test_a_month_of_credits_earns_nothing(signed, spend):
    assert settle(signed, Eligible(spend, 0)).rebate == 0


ANY = st.dictionaries(st.integers(0, 50), st.integers(-(10**15), 10**15))
SHARES = ANY.map(lambda shares: shares | {99: 1 + sum(map(abs, shares.values()))})
"""Some negative, as voids are; more than nothing in all."""
AMOUNT = st.integers(-(10**20), 10**20)


@given(AMOUNT, SHARES)
def test_the_parts_add_up_and_each_is_within_one_of_its_share(amount, shares):
    whole = sum(shares.values())
    parts = distribute(amount, shares)
    assert sum(parts.values()) == amount
    assert parts.keys() == shares.keys()
    for key, part in parts.items():
        assert abs(part * whole - amount * shares[key]) < whole


@given(AMOUNT, ANY.map(lambda shares: shares | {99: -sum(map(abs, shares.values()))}))
def test_shares_of_nothing_are_refused(amount, shares):
    with pytest.raises(ValueError, match="nothing can be in proportion"):
        distribute(amount, shares)


@given(AMOUNT, SHARES, AMOUNT, SHARES)
def test_what_is_added_makes_it_what_is_wanted_and_twice_adds_nothing(
    amount, shares, before, others
):
    wanted, there = distribute(amount, shares), distribute(before, others)
    added = differences(wanted, there)
    now = {key: there.get(key, 0) + added.get(key, 0) for key in {*there, *added}}
    assert sum(added.values()) == amount - before
    assert sum(now.values()) == amount
    assert differences(wanted, now) == {}
