"""What a budgets file comes to: defaults, limits of members, scopes, windows."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.budgets.book import Action, Budget, BudgetBook, MemberException, Threshold
from streams.budgets.budget_file import read_budgets
from streams.budgets.periods import Calendar, Rolling

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def read(tmp_path):
    def reads(text: str) -> BudgetBook:
        file = tmp_path / "budgets.yaml"
        file.write_text(text)
        return read_budgets(file)

    return reads


def test_a_budget_of_name_and_limit_is_the_whole_organisations_for_a_month(read):
    (budget,) = read("budgets: [{name: all, limit: 100}]").budgets
    assert budget == Budget(name="all", limit=Decimal(100))
    assert (budget.each, budget.where, budget.period, budget.unit) == ((), {}, "month", "USD")
    assert [(step.at, step.severity) for step in budget.thresholds] == [
        (50, "info"),
        (80, "warning"),
        (100, "critical"),
    ]
    assert (budget.watches_burn_rate, budget.forecast) == (True, True)
    assert budget.scope_of() == {}


@pytest.mark.parametrize("amount", ["0.1", "1500.10", "0.000000000001", "999999999999999.9"])
def test_money_never_passes_through_a_float(read, amount):
    (budget,) = read(f"budgets: [{{name: a, limit: {amount}}}]").budgets
    assert budget.limit == Decimal(amount)
    assert budget.limit_units() == int(Decimal(amount).scaleb(12))


def test_a_limit_of_tokens_or_calls_is_counted_in_ones(read):
    text = "budgets: [{name: a, limit: 5000000, unit: tokens}, {name: b, limit: 7, unit: calls}]"
    assert [budget.limit_units() for budget in read(text).budgets] == [5_000_000, 7]
    assert [budget.is_money for budget in read(text).budgets] == [False, False]


def test_each_dimension_can_be_written_alone_or_in_a_list(read):
    text = """
budgets:
  - {name: a, limit: 1, each: user, where: {team: search, environment: [production, staging]}}
  - {name: b, limit: 1, each: [team, use_case], where: {model: [gpt-4o]}}
"""
    a, b = read(text).budgets
    assert a.each == ("user",)
    assert a.where == {"team": ("search",), "environment": ("production", "staging")}
    assert b.each == ("team", "use_case")
    assert b.where == {"model": ("gpt-4o",)}


def test_the_scope_of_a_member_is_what_is_pinned_and_the_member(read):
    text = "{name: a, limit: 1, each: [user, model], where: {team: search, provider: [x, y]}}"
    (budget,) = read(f"budgets: [{text}]").budgets
    assert budget.scope_of(("ann", "m")) == {"team": "search", "user": "ann", "model": "m"}
    with pytest.raises(ValueError, match="shorter"):
        budget.scope_of(("ann",))


def test_members_have_their_exceptions_limit(read):
    text = """
budgets:
  - name: a
    each: [user, model]
    limit: 10
    exceptions:
      - {members: {user: [ann, bob]}, limit: 20.5}
      - {members: {user: carl, model: m}, limit: 30}
"""
    (budget,) = read(text).budgets
    limits = {
        member: budget.limit_for(member)
        for member in [("ann", "m"), ("bob", "n"), ("carl", "m"), ("carl", "n"), ("dora", "m")]
    }
    assert list(limits.values()) == [Decimal("20.5"), Decimal("20.5"), 30, 10, 10]
    assert budget.limit_units(("ann", "m")) == 20_500_000_000_000


def test_thresholds_are_numbers_or_say_more_and_are_put_in_order(read):
    text = """
budgets:
  - name: a
    limit: 1
    thresholds:
      - {at: 120, severity: warning, channels: [slack, mail], review: true}
      - 79
      - {at: 90, channel: slack}
"""
    (budget,) = read(text).budgets
    assert budget.thresholds == (
        Threshold(at=79, severity="info"),
        Threshold(at=90, severity="warning", channels=("slack",)),
        Threshold(at=120, severity="warning", channels=("slack", "mail"), review=True),
    )


def test_actions_are_put_in_order(read):
    text = "[{at: 100, do: refuse}, {at: 80, do: degrade, to: cost-optimised}]"
    (budget,) = read(f"budgets: [{{name: a, limit: 1, actions: {text}}}]").budgets
    assert budget.actions == (
        Action(at=80, do="degrade", to="cost-optimised"),
        Action(at=100, do="refuse"),
    )


@pytest.mark.parametrize(
    ("period", "window"),
    [
        ("day", Calendar("day", "Asia/Kolkata", (4, 6), 6)),
        ("week", Calendar("week", "Asia/Kolkata", (4, 6), 6)),
        ("quarter", Calendar("quarter", "Asia/Kolkata", (4, 6), 6)),
        ("{rolling: 24h}", Rolling(timedelta(hours=24))),
        ("{rolling: 90m}", Rolling(timedelta(minutes=90))),
        ("{rolling: 366d}", Rolling(timedelta(days=366))),
    ],
)
def test_the_window_is_by_the_books_calendar_or_rolls(read, period, window):
    book = read(
        "timezone: Asia/Kolkata\nfiscal_year_starts: 04-06\nweek_starts: sunday\n"
        f"budgets: [{{name: a, limit: 1, period: {period}}}]\n"
    )
    assert book.budgets[0].window(book) == window


def test_budgets_of_one_calendar_share_it_and_what_it_remembers():
    book = BudgetBook()
    assert book.calendar("month") is BudgetBook().calendar("month")


def test_a_unit_is_the_books_currency_where_it_is_left_out(read):
    book = read(
        "currency: HKD\nexchange_rates: {HKD: {2026-01-01: 7.78}}\n"
        "budgets: [{name: a, limit: 1}, {name: b, limit: 1, unit: USD}, "
        "{name: c, limit: 1, unit: tokens}]\n"
    )
    assert [budget.unit for budget in book.budgets] == ["HKD", "USD", "tokens"]
    assert [rate for _, rate in book.rates.segments("HKD")] == [Decimal("7.78")]


def test_budgets_that_overlap_are_all_kept(read):
    text = "budgets: [{name: a, limit: 1}, {name: b, limit: 2}, {name: c, limit: 3, each: team}]"
    assert [budget.name for budget in read(text).budgets] == ["a", "b", "c"]


def test_a_book_without_budgets_says_so(read):
    assert read("budgets: []") == BudgetBook()


def test_a_book_is_made_in_python_from_values_too():
    exception = MemberException(members={"user": "ann"}, limit=Decimal("20.5"))
    budget = Budget(
        name="users",
        each=("user",),
        limit=10,
        period=Rolling(timedelta(hours=1)),
        thresholds=(Threshold(at=70), 100),
        exceptions=[exception],
    )
    book = BudgetBook(fiscal_year_starts=(4, 1), budgets=(budget,))
    assert book.budgets == (budget,)
    assert [step.at for step in budget.thresholds] == [70, 100]
    with pytest.raises(ValidationError, match="above 0"):
        Budget(name="a", limit=1500.0)  # a float is no money
    with pytest.raises(ValidationError, match="whole percentage"):
        Threshold(at=True)


def test_the_example_in_usd_is_two_teams():
    book = read_budgets(EXAMPLES / "budgets.yaml")
    assert [(budget.scope_of(), budget.limit) for budget in book.budgets] == [
        ({"team": "search"}, 1500),
        ({"team": "support"}, 400),
    ]
    assert [step.at for step in book.budgets[1].thresholds] == [50, 80, 100, 120]


def test_the_example_of_hong_kong_is_a_cap_a_total_and_a_reviewed_ceiling():
    book = read_budgets(EXAMPLES / "budgets.hk.yaml")
    users, teams, organisation = book.budgets
    assert {budget.unit for budget in book.budgets} == {"HKD"}
    assert {budget.window(book) for budget in book.budgets} == {Calendar("month", "Asia/Hong_Kong")}
    assert (users.each, users.limit) == (("user",), 450)
    assert (teams.each, teams.limit, len(teams.exceptions)) == (("team",), 15_000, 1)
    assert (organisation.each, organisation.where, organisation.limit) == ((), {}, 120_000)
    assert [step.review for step in organisation.thresholds] == [False, False, True]
    assert len(book.rates.segments("HKD")) == 2
