"""An entry of few rows is counted like one of many: one by one or grouped, sums are the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.detectors.attempts import Tally, attempts_of
from streams.detectors.series import MINUTE, Series, Shadows
from streams.guard import few_rows
from streams.guard.concern import Accepted
from tests.support.ledger_rows import NOON, accepted_entry, journal_row

BOOK = BudgetBook.model_validate(
    {
        "budgets": [
            {
                "name": "live",
                "where": {"team": ["a", "b"], "environment": "live"},
                "limit": "9",
            },
            {"name": "users", "each": ["user", "team"], "limit": "9", "unit": "tokens"},
            {"name": "window", "limit": "9", "unit": "calls", "period": {"rolling": "2h"}},
        ]
    }
)
ROWS = 60

Same = Callable[[Callable[[Accepted], Any]], None]


@pytest.fixture
def same(monkeypatch: pytest.MonkeyPatch) -> Same:
    """Asserts that something comes to the same figures both ways."""
    choose = random.Random(7)

    def row() -> dict[str, Any]:
        sign = choose.choice([1, 1, 1, -1])
        return journal_row(
            minute=NOON + timedelta(minutes=choose.randrange(-90, 3)),
            team=choose.choice("abc"),
            user=choose.choice(["x", "y", None]),
            application=choose.choice(["p", None]),
            environment=choose.choice(["live", "test", None]),
            status=choose.choice(["ok", "error", None]),
            is_retry=choose.random() < 0.2,
            is_shadow=choose.random() < 0.2,
            calls=sign * choose.randrange(1, 9),
            input_tokens=sign * choose.randrange(99),
            cache_read_tokens=sign * choose.randrange(9),
            output_tokens=sign * choose.randrange(99),
            cost=choose.choice([None, sign * Decimal(choose.randrange(10**14)).scaleb(-12)]),
        )

    entry = accepted_entry(0, *(row() for _ in range(ROWS)))

    def check(figures: Callable[[Accepted], Any]) -> None:
        monkeypatch.setattr(few_rows, "FEW", ROWS)
        one_by_one = figures(entry)
        monkeypatch.setattr(few_rows, "FEW", ROWS - 1)
        assert one_by_one
        assert figures(entry) == one_by_one

    return check


def test_of_budgets(same: Same):
    def figures(entry: Accepted) -> Any:
        budgets = Budgets(BOOK)
        budgets.apply(entry)
        return budgets.counters(), [members for _, members in budgets.touched()]

    same(figures)


@pytest.mark.parametrize("shadows", ["cost", "all", "none"])
def test_of_series(same: Same, shadows: Shadows):
    def figures(entry: Accepted) -> Any:
        measures = ("calls", "cost", "input_tokens", "output_tokens")
        series = Series(("team", "user"), measures, MINUTE, 60, shadows=shadows)
        return series.add_rows(entry.rows), series.counters()

    same(figures)


def test_of_attempts(same: Same):
    def figures(entry: Accepted) -> Any:
        tallies: dict[Any, Tally] = {}
        for *key, tally in attempts_of(entry.rows):
            tallies.setdefault(tuple(key), Tally()).add(tally)
        return tallies

    same(figures)
