from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from schemas.outcome import checked_outcome
from schemas.usage import checked
from streams.budgets.budget_file import read_budgets
from streams.traffic.company import DEPARTMENT
from streams.traffic.company_budgets import company_budgets
from streams.traffic.company_month import CompanyMonth
from streams.traffic.company_tiers import COST_OPTIMISED

FEBRUARY = date(2028, 2, 9)


def days(seed: int = 1, thinned: int = 200):
    return list(CompanyMonth(FEBRUARY, thinned, seed).days())


def test_the_same_seed_makes_the_same_month_and_another_one_another():
    assert days() == days()
    assert days() != days(seed=2)


def test_every_call_and_outcome_is_valid_and_of_its_day_in_order_of_time():
    month = days()
    assert [day.day.day for day in month] == list(range(1, 30))
    ids = set()
    for day in month:
        calls = [checked(call.fields) for call in day.calls]
        outcomes = [checked_outcome(fields) for fields in day.outcomes]
        times = [event.occurred_at for event in calls]
        assert all(before <= after for before, after in pairwise(times))
        assert {at.date() for at in times} == {day.day}
        assert {outcome.occurred_at.date() for outcome in outcomes} <= {day.day}
        ids |= {event.event_id for event in calls}
    assert len(ids) == sum(len(day.calls) for day in month)


def test_the_share_of_cheap_calls_grows():
    def share(part):
        tiers = [call.fields["routing_tier"] for day in part for call in day.calls]
        return tiers.count(COST_OPTIMISED) / len(tiers)

    month = days(thinned=50)
    assert share(month[:7]) + 0.05 < share(month[-7:])


def test_a_duplicate_repeats_a_prompt_that_was_answered_before():
    for day in days(thinned=100):
        answered = set()
        for call in day.calls:
            fields = call.fields
            key = (fields["team"], fields["model"], fields["prompt_hash"])
            if call.duplicate:
                assert key in answered
            if fields["status"] == "ok" and not fields.get("shadow_of"):
                answered.add(key)


@pytest.mark.parametrize("thinned", [1, 25, 400])
def test_the_budgets_are_of_every_department_and_scale_with_the_calls(tmp_path, thinned):
    file = tmp_path / "budgets.yaml"
    file.write_text(company_budgets(thinned), "utf-8")
    budgets = {budget.name: budget for budget in read_budgets(file).budgets}
    assert {"organisation", "teams", *DEPARTMENT.values()} == set(budgets)
    assert round(budgets["organisation"].limit * thinned, -1) == 7800


def test_a_month_is_of_utc():
    first = days()[0].calls[0].fields["occurred_at"]
    assert first >= datetime(2028, 2, 1, tzinfo=UTC)
