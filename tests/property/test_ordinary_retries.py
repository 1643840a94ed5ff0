"""Ordinary failures and their retries raise no alert, whatever their volume and their luck."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.detectors.storms import Storms
from streams.guard.concern import Accepted
from tests.support.ordinary_retries import Attempt, attempts, entries, ordinary_day
from tests.support.storm_watch import RULE

seeds = st.integers(0, 2**32)


def alerted(made: Iterable[Accepted]) -> list[str]:
    storms = Storms(RULE)
    return [
        alert.title
        for entry in made
        for _ in [storms.apply(entry)]
        for alert in storms.alerts(entry.at, entry.now)
    ]


def traffic(
    seed: int, teams: int, calls_a_minute: int, failing: float, seconds: int = 240
) -> list[Attempt]:
    rng = random.Random(seed)
    calls = range(calls_a_minute * seconds // 60)
    return [
        attempt
        for team in range(teams)
        for attempt in attempts(
            rng, (f"team-{team}", "bot"), [rng.uniform(0, seconds) for _ in calls], failing
        )
    ]


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 5), st.integers(1, 400), st.floats(0, 0.05))
def test_up_to_five_percent_of_errors_at_any_volume(seed, teams, calls_a_minute, failing):
    assert alerted(entries(traffic(seed, teams, calls_a_minute, failing), 20)) == []


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 2), st.floats(0.5, 1))
def test_a_few_calls_of_which_most_fail(seed, calls, teams, failing):
    assert alerted(entries(traffic(seed, teams, calls, failing, seconds=60), 5)) == []


def test_a_day_of_three_hundred_users():
    made = ordinary_day(seed=1)
    failures = sum(attempt.status != "ok" for attempt in made)
    assert len(made) > 20_000
    assert failures > 500
    assert alerted(entries(made, 60)) == []
