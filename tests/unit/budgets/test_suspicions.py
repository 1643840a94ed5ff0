"""What a budgets file may say and hardly means, each with its place; and budgets in plain words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.budgets.book import BudgetBook
from streams.budgets.describe import in_words
from streams.budgets.suspicions import suspicions
from streams.yaml_file import YamlFile

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def book_of(text: str) -> BudgetBook:
    return YamlFile(text.encode(), "b.yaml", shape="").validated(BudgetBook)


def suspected(text: str) -> list[tuple[tuple[int | str, ...], str]]:
    return [(found.loc, found.message) for found in suspicions(book_of(text), NOW)]


@pytest.mark.parametrize(
    ("budget", "place", "message"),
    [
        (
            "limit: 1, thresholds: [50, 80]",
            ("thresholds",),
            "nobody is told when the budget is used up: 80 is the highest; add 100",
        ),
        (
            "limit: 1, thresholds: [80, {at: 100, severity: info}]",
            ("thresholds",),
            "100 % is info, and 80 % before it warning",
        ),
        (
            "limit: 1, actions: [{at: 120, do: refuse}]",
            ("actions",),
            "nobody is told before `refuse` at 120 %: the highest threshold is 100",
        ),
        (
            "limit: 1, actions: [{at: 80, do: refuse}, {at: 90, do: degrade, to: balanced}]",
            ("actions",),
            "`degrade to balanced` at 90 % adds nothing to `refuse` at 80 %",
        ),
        (
            "limit: 1, actions: [{at: 80, do: degrade, to: balanced}, "
            "{at: 90, do: degrade, to: frontier}]",
            ("actions",),
            "`degrade to frontier` at 90 % adds nothing to `degrade to balanced` at 80 %",
        ),
        (
            "limit: 1, each: user, exceptions: [{members: {user: ann}, limit: 1.00}]",
            ("exceptions", 0, "limit"),
            "is the budget's own limit: no exception",
        ),
    ],
)
def test_a_step_or_exception_without_effect_is_suspected(budget, place, message):
    text = f"budgets: [{{name: a, {budget}}}]"
    assert suspected(text) == [(("budgets", 0, *place), message)]


def test_two_budgets_that_count_the_same_are_suspected():
    text = """budgets:
- {name: a, limit: 1, where: {team: [x, y]}, each: [user, model]}
- {name: b, limit: 2, where: {team: [y, x]}, each: [model, user]}
- {name: c, limit: 2, where: {team: [y, x]}, each: [model, user], period: week}
- {name: d, limit: 2, where: {team: [y, x]}, each: [model, user], unit: calls}
"""
    assert suspected(text) == [
        (
            ("budgets", 1),
            "counts the same as 'a' does; one budget with more thresholds would do",
        )
    ]


def test_a_limit_above_that_of_a_budget_around_it_is_suspected():
    text = """budgets:
- {name: all, limit: 100}
- {name: search, limit: 100, where: {team: search}}
- {name: users, limit: 10, each: user, exceptions: [{members: {user: ann}, limit: 101}]}
- {name: live, limit: 101, where: {team: search, environment: live}}
- {name: other, limit: 300, where: {team: search}, period: week}
- {name: calls, limit: 300, where: {team: search}, unit: calls}
"""
    assert suspected(text) == [
        (
            ("budgets", 2, "exceptions", 0, "limit"),
            "is never reached: 'all', of which this is a part, has USD 100.00",
        ),
        (
            ("budgets", 3, "limit"),
            "is never reached: 'all', of which this is a part, has USD 100.00",
        ),
        (
            ("budgets", 3, "limit"),
            "is never reached: 'search', of which this is a part, has USD 100.00",
        ),
    ]


@pytest.mark.parametrize(
    ("first", "period", "says"),
    [
        ("2026-11-02", "month", "the current period"),
        ("2026-11-23", "{rolling: 24h}", "the window"),
        ("2026-11-01", "month", None),
        ("2026-11-22", "{rolling: 24h}", None),
    ],
)
def test_rates_that_begin_within_the_current_period_are_suspected(first, period, says):
    text = f"""
exchange_rates: {{HKD: {{2027-01-01: 7.9, {first}: 7.8}}}}
budgets: [{{name: a, limit: 1, unit: HKD, period: {period}}}]
"""
    assert suspected(text) == (
        []
        if says is None
        else [
            (
                ("exchange_rates", "HKD"),
                f"the rates begin on {first}, and {says} of 'a' before that: what was spent then "
                "is not counted",
            )
        ]
    )


def test_rates_that_no_budget_uses_are_suspected():
    text = "exchange_rates: {HKD: {2026-01-01: 7.8}}\nbudgets: [{name: a, limit: 1}]"
    assert suspected(text) == [
        (
            ("exchange_rates", "HKD"),
            "no budget is in HKD; write `currency: HKD` if they should be",
        )
    ]


def test_nothing_is_suspected_of_an_ordinary_book():
    text = """budgets:
- {name: all, limit: 100, thresholds: [50, 100, 120]}
- {name: users, limit: 10, each: user, exceptions: [{members: {user: ann}, limit: 20}]}
- name: search
  where: {team: search}
  limit: 50
  actions: [{at: 80, do: degrade, to: balanced}, {at: 90, do: degrade, to: cost-optimised},
            {at: 100, do: refuse}]
"""
    assert suspected(text) == []


@pytest.mark.parametrize(
    ("settings", "budget", "words"),
    [
        (
            "timezone: Asia/Hong_Kong\n",
            "limit: 450, each: user, exceptions: [{members: {user: ann}, limit: 900}, "
            "{members: {user: bob}, limit: 1}]",
            "a: USD 450.00 a month for each user, 2 exceptions; thresholds 50, 80, 100 %; months "
            "of Asia/Hong_Kong",
        ),
        (
            "",
            "limit: 0.125, where: {use_case: [chat, search], environment: live}, "
            "thresholds: [100], period: day",
            "a: USD 0.125 a day for use case chat or search and environment live; thresholds "
            "100 %; days of UTC",
        ),
        (
            "",
            "limit: 2000000, unit: tokens, each: [user, model], where: {team: x}, "
            "period: {rolling: 24h}",
            "a: 2,000,000 tokens in any 24 hours for each user and model of team x; thresholds 50, "
            "80, 100 %; moving in steps of 24 minutes",
        ),
        (
            "",
            "limit: 10, unit: calls, period: {rolling: 1h}, burn_rate: no, forecast: no",
            "a: 10 calls in any hour for the organisation; thresholds 50, 80, 100 %; no burn "
            "rate; no forecast; moving in steps of 1 minute",
        ),
        (
            "week_starts: sunday\n",
            "limit: 1, period: week, thresholds: [{at: 100, review: true}], "
            "actions: [{at: 90, do: degrade, to: balanced}, {at: 100, do: refuse}]",
            "a: USD 1.00 a week for the organisation; thresholds 100 %; 100 % is reviewed; at 90 % "
            "degrade to balanced; at 100 % refuse; weeks from Sunday of UTC",
        ),
        (
            "fiscal_year_starts: 04-06\n",
            "limit: 1, thresholds: [100]",
            "a: USD 1.00 a month for the organisation; thresholds 100 %; months from day 6 of UTC",
        ),
        (
            "fiscal_year_starts: 04-06\n",
            "limit: 1, thresholds: [100], period: quarter",
            "a: USD 1.00 a quarter for the organisation; thresholds 100 %; quarters from 04-06 of "
            "UTC",
        ),
    ],
)
def test_a_budget_is_told_in_words(settings, budget, words):
    book = book_of(f"{settings}budgets: [{{name: a, {budget}}}]")
    assert in_words(book.budgets[0], book) == words
