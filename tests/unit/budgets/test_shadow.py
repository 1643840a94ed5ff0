"""Shadow calls in budgets: they count, unless the file says that they do not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.budgets.describe import in_words
from streams.guard import few_rows
from tests.support.ledger_rows import NOON, accepted_entry, journal_row

ROWS = [
    journal_row(cost=Decimal(3)),
    journal_row(cost=Decimal(4), is_shadow=True),
    journal_row(cost=Decimal(-1), is_shadow=True, calls=-1, kind="void"),
]
BUDGETS = [{"name": "money", "limit": 10}, {"name": "calls", "limit": 10, "unit": "calls"}]


def book(**fields: str) -> BudgetBook:
    return BudgetBook.model_validate({"budgets": BUDGETS, **fields})


@pytest.mark.parametrize("few", [0, 100], ids=["grouped", "row by row"])
@pytest.mark.parametrize(
    ("fields", "used"),
    [({}, [6, 1]), ({"shadow": "count"}, [6, 1]), ({"shadow": "ignore"}, [3, 1])],
    ids=["nothing said", "count", "ignore"],
)
def test_a_shadow_call_counts_as_the_file_says(monkeypatch, few, fields, used):
    monkeypatch.setattr(few_rows, "FEW", few)
    concern = Budgets(book(**fields))
    concern.apply(accepted_entry(0, *ROWS))
    assert [spent.used for spent in concern.current(NOON)] == used


def test_the_words_of_a_budget_say_that_they_do_not():
    ignoring, counting = book(shadow="ignore"), book()
    assert "; shadow calls do not count; " in in_words(ignoring.budgets[0], ignoring)
    assert "shadow" not in in_words(counting.budgets[0], counting)
