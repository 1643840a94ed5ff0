"""Which faults a run of the fault suite has."""

from __future__ import annotations

from random import Random

import pytest

from tests.chaos.catalogue import FAULTS
from tests.chaos.plan import STARTING_SECONDS, drawn, made

ALL = list(FAULTS.values())


def plan(seconds: float, seed: int = 1):
    return made(ALL, seconds, Random(seed), all_of_them=False, mixed_only=False)


def test_the_default_ten_minutes_have_room_for_every_fault():
    assert plan(600).left_out == ()
    assert sum(fault.seconds for fault in ALL) + STARTING_SECONDS <= 600


@pytest.mark.parametrize("seconds", [31, 60, 200, 400])
def test_what_does_not_fit_is_left_out_and_named(seconds):
    made_plan = plan(seconds)
    assert sum(f.seconds for f in made_plan.singles) <= seconds - STARTING_SECONDS
    assert made_plan.left_out
    assert {*made_plan.singles, *made_plan.left_out} == set(ALL)


def test_the_order_stays_and_the_seed_decides_what_is_left_out():
    assert [ALL.index(f) for f in plan(200).singles] == sorted(
        ALL.index(f) for f in plan(200).singles
    )
    assert plan(200) == plan(200)
    assert plan(200).singles != plan(200, seed=2).singles


def test_two_faults_at_a_time_never_hurt_the_same_part():
    dice = Random(4)
    rounds = [drawn(ALL, dice) for _ in range(500)]
    assert {len(faults) for faults in rounds} == {1, 2}
    assert not any(f[0].touches & f[1].touches for f in rounds if len(f) == 2)
    assert {fault.name for faults in rounds for fault in faults} == set(FAULTS)
