"""Answers to gateways: which budgets apply, whose word counts, and until when."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.quotas import BudgetDefinition, MemberState, QuotaAnswer
from streams.quotas.decide import KEPT, decide
from tests.support.quotas import MONTH, NOW, definition, state

ANN = {"user": "ann", "team": "search"}


def ask(*records: BudgetDefinition | MemberState, now=NOW, **question: str) -> QuotaAnswer:
    definitions = [one for one in records if isinstance(one, BudgetDefinition)]
    members = {one.key: one for one in records if isinstance(one, MemberState)}
    return decide(definitions, members, question, now)


def names(answer: QuotaAnswer) -> list[str]:
    return [share.budget for share in answer.budgets]


def test_what_is_left_of_a_budget_and_why():
    answer = ask(definition(), state(used=Decimal("40.5")), **ANN)
    assert answer.allowed
    assert (answer.remaining, answer.unit, answer.degrade_to) == (Decimal("59.5"), "USD", None)
    assert answer.why == "users has a reason."
    assert answer.budgets[0].percent == Decimal("40.5")
    assert answer.budgets[0].member == {"user": "ann"}


def test_a_member_that_is_not_known_has_the_whole_limit():
    answer = ask(definition(), state(), user="bob")
    assert (answer.allowed, answer.remaining) == (True, 100)
    assert answer.why == "Nothing is used of $100 (budget users)."
    assert answer.budgets[0].period_end == MONTH[1]


def test_an_exception_is_the_limit_of_its_members_only():
    exceptions = [
        {"members": {"user": ["ann"], "team": ["search"]}, "limit": 300},
        {"members": {"user": ["bob"]}, "limit": 50},
    ]
    each = definition(each=("team", "user"), exceptions=exceptions)
    asked = {("search", "ann"): 300, ("ads", "ann"): 100, ("ads", "bob"): 50, ("ads", "eve"): 100}
    for (team, user), limit in asked.items():
        assert ask(each, team=team, user=user).remaining == limit


def test_a_refusal_of_one_budget_is_a_refusal_though_another_is_tighter():
    refusing = state("users", 60, allowed=False, reason="users refuses.")
    tight = state("teams", 90, {"team": "search"})
    answer = ask(definition(), definition("teams", each=("team",)), refusing, tight, **ANN)
    assert not answer.allowed
    assert names(answer) == ["teams", "users"]
    assert (answer.remaining, answer.why) == (10, "users refuses.")


def test_of_two_that_refuse_the_tighter_says_why():
    first = state("users", 110, allowed=False)
    second = state("teams", 120, {"team": "search"}, allowed=False)
    answer = ask(definition(), definition("teams", each=("team",)), first, second, **ANN)
    assert answer.why == "teams has a reason."
    assert answer.remaining == 0


def test_of_budgets_in_one_unit_the_one_with_the_least_left_is_the_tightest():
    everybody = definition("all", each=(), limit=10_000), state("all", 5000, {}, limit=10_000)
    answer = ask(*everybody, definition(), state(used=20), **ANN)
    assert (answer.remaining, answer.why) == (80, "users has a reason.")
    assert names(answer) == ["all", "users"]


def test_between_units_the_budget_that_is_used_most_is_the_tightest():
    tokens = definition("tokens", unit="tokens", limit=1_000_000)
    used = state("tokens", 900_000, limit=1_000_000, unit="tokens")
    answer = ask(definition(), tokens, state(used=89), used, **ANN)
    assert (answer.remaining, answer.unit, names(answer)[0]) == (100_000, "tokens", "tokens")


@pytest.mark.parametrize("order", [("balanced", "cost-optimised"), ("cost-optimised", "balanced")])
def test_of_two_tiers_the_cheaper_one_holds(order):
    first = state("users", 80, degrade_to=order[0])
    second = state("teams", 90, {"team": "search"}, degrade_to=order[1])
    answer = ask(definition(), definition("teams", each=("team",)), first, second, **ANN)
    assert (answer.allowed, answer.degrade_to) == (True, "cost-optimised")
    assert answer.why == f"{'users' if order[0] == 'cost-optimised' else 'teams'} has a reason."


def test_a_tier_that_is_not_known_here_counts_as_the_cheapest():
    first = state("users", 80, degrade_to="tiny")
    second = state("teams", 90, {"team": "search"}, degrade_to="balanced")
    answer = ask(definition(), definition("teams", each=("team",)), first, second, **ANN)
    assert answer.degrade_to == "tiny"


def test_a_budget_that_is_for_others_does_not_apply():
    elsewhere = definition(where={"team": ["ads"]})
    answer = ask(elsewhere, state(allowed=False), **ANN)
    assert (answer.allowed, answer.remaining, answer.unit) == (True, None, None)
    assert (answer.budgets, answer.not_judged) == ((), ())
    assert answer.why == "No budget applies."


def test_a_budget_is_not_judged_where_the_question_leaves_out_what_it_is_about():
    each = definition("users", where={"environment": ["prod"], "user": ["ann", "bob"]})
    answer = ask(each, state(allowed=False), team="search")
    assert answer.allowed
    assert [(one.budget, one.why) for one in answer.not_judged] == [
        ("users", "the question does not say environment and user")
    ]


def test_a_budget_that_is_for_others_is_not_mentioned_though_the_question_leaves_out_a_part():
    each = definition("users", where={"environment": ["prod"]})
    assert ask(each, environment="test").not_judged == ()


def test_a_budget_of_everybody_needs_nothing_to_be_said():
    everybody = definition("all", each=())
    answer = ask(everybody, state("all", 100, {}, allowed=False))
    assert not answer.allowed


def test_what_is_used_and_not_known_is_not_taken_for_nothing():
    answer = ask(definition(), state(used=None, reason="No rate."), **ANN)
    assert (answer.remaining, answer.budgets) == (None, ())
    assert [(one.budget, one.why) for one in answer.not_judged] == [("users", "No rate.")]


def test_a_period_that_has_ended_counts_as_unused():
    used_up = state(used=100, allowed=False)
    just_before = MONTH[1] - timedelta(microseconds=1)
    assert not ask(definition(), used_up, **ANN, now=just_before).allowed
    answer = ask(definition(), used_up, **ANN, now=MONTH[1])
    assert (answer.allowed, answer.remaining) == (True, 100)
    assert answer.budgets[0].period_end is None  # nobody has said yet when the new one ends


def test_a_state_of_a_budget_that_is_gone_says_nothing():
    assert ask(state(used=100, allowed=False), **ANN).allowed


def test_an_answer_is_kept_for_a_second_and_never_beyond_the_period():
    assert ask(definition(), state(), **ANN).valid_until == NOW + KEPT
    late = MONTH[1] - timedelta(milliseconds=10)
    assert ask(definition(), state(), **ANN, now=late).valid_until == MONTH[1]


def test_more_than_the_limit_leaves_nothing_and_not_less():
    answer = ask(definition(), state(used=Decimal("100.05")), **ANN)
    assert (answer.remaining, answer.budgets[0].percent) == (0, 100)


def test_money_is_plain_text_in_the_answer():
    answer = ask(definition(limit=Decimal("1E+3")), user="bob")
    assert '"remaining":"1000"' in answer.model_dump_json()
    tiny = state(used=Decimal("99.999999999999"))
    assert '"remaining":"0.000000000001"' in ask(definition(), tiny, **ANN).model_dump_json()
