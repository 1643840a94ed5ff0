"""The budgets file: what is right is read exactly, what is wrong is one line with its place."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.errors import UserError
from streams.guard.budget_file import BudgetBook, read_budgets


@pytest.fixture
def read(tmp_path):
    def reads(text: str | bytes) -> BudgetBook:
        file = tmp_path / "budgets.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_budgets(file)

    return reads


def test_budgets_are_read_with_their_defaults(read):
    book = read("budgets:\n  - {team: search, monthly_usd: 1500.10}\n")
    (budget,) = book.budgets
    assert (book.timezone, budget.team, budget.thresholds) == ("UTC", "search", (50, 80, 100))
    assert budget.monthly_usd == Decimal("1500.10")


@pytest.mark.parametrize("amount", ["0.1", "1500.10", "'0.1'", "0.000000000001", "99999999999.7"])
def test_an_amount_never_passes_through_a_float(read, amount):
    (budget,) = read(f"budgets: [{{team: a, monthly_usd: {amount}}}]").budgets
    assert budget.monthly_usd == Decimal(amount.strip("'"))


def test_thresholds_are_put_in_order(read):
    (budget,) = read("budgets: [{team: a, monthly_usd: 1, thresholds: [100, 5, 80]}]").budgets
    assert budget.thresholds == (5, 80, 100)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "budgets: []"])
def test_a_file_without_budgets_is_right(read, text):
    assert read(text) == BudgetBook()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("budgets: [\n", ":2: not YAML"),
        ("\tbudgets: []", ":1: not YAML"),
        ("- a", ":1: a mapping with `budgets:` was expected"),
        ("budgets: 5", "budgets: Input should be a valid tuple"),
        ("budget: []", "budget: Extra inputs are not permitted"),
        ("timezone: CST6\nbudgets: []", "timezone: 'CST6' is no IANA time zone; write one such"),
        ("budgets: [{monthly_usd: 5}]", "budgets[0].team: Field required"),
        ("budgets: [{team: '', monthly_usd: 5}]", "budgets[0] (team ).team: String should have"),
        ("budgets: [{team: a}]", "budgets[0] (team a).monthly_usd: Field required"),
        ("budgets: [{team: a, monthly_usd: much}]", "(team a).monthly_usd: Input should be"),
        ("budgets: [{team: a, monthly_usd: 0}]", "monthly_usd: Input should be greater than 0"),
        ("budgets: [{team: a, monthly_usd: -1.5}]", "monthly_usd: Input should be greater than 0"),
        ("budgets: [{team: a, monthly_usd: yes}]", "monthly_usd: write a decimal number, such as"),
        ("budgets: [{team: a, monthly_usd: .inf}]", "(team a).monthly_usd: Input should be"),
        ("budgets: [{team: a, monthly_usd: 0.0000000000001}]", "no more than 12 decimal places"),
        ("budgets: [{team: a, monthly_usd: 5, thresholds: []}]", "at least one percentage"),
        ("budgets: [{team: a, monthly_usd: 5, thresholds: [80, 80]}]", "each percentage once"),
        ("budgets: [{team: a, monthly_usd: 5, thresholds: [0]}]", "(team a).thresholds[0]: Input"),
        ("budgets: [{team: a, monthly_usd: 5, thresholds: [1001]}]", "thresholds[0]: Input should"),
        ("budgets: [{team: a, monthly_usd: 5, limit: 5}]", "(team a).limit: Extra inputs"),
        (
            "budgets: [{team: a, monthly_usd: 5}, {team: a, monthly_usd: 6}]",
            "budgets: team 'a' has two budgets; keep one",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(read, text, says):
    with pytest.raises(UserError) as error:
        read(text)
    message = str(error.value)
    assert "budgets.yaml" in message
    assert says in message
    assert "\n" not in message


def test_a_file_that_is_no_text_or_not_there_is_named(read, tmp_path):
    with pytest.raises(UserError, match=r"budgets\.yaml: 'utf-8'"):
        read(b"\xff\xfe")
    with pytest.raises(UserError, match=r"missing\.yaml: .*No such file"):
        read_budgets(tmp_path / "missing.yaml")
