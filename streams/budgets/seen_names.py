"""Names of a budgets file that nothing was spent under: a wrong letter, and it counts nothing."""

from __future__ import annotations

from collections.abc import Iterator

from sinks.clickhouse import ClickHouse
from streams.budgets.book import BudgetBook
from streams.budgets.fields import Dimension
from streams.budgets.suspicions import Suspicion
from streams.file_model import nearest
from streams.yaml_file import Loc

DAYS = 90
"""How far back is looked. A name that is older is as good as gone."""
MOST_COMPARED = 10_000
"""Names among which the nearest is looked for: among many more it takes seconds, for each name."""


def unseen_names(book: BudgetBook, clickhouse: ClickHouse) -> Iterator[Suspicion]:
    """Each value that the book names, and that no call of the last 90 days had."""
    named = list(_named(book))
    if not named:
        return
    if not clickhouse.query(f"SELECT 1 FROM spend WHERE {_RECENT} LIMIT 1"):
        yield Suspicion((), f"nothing was spent in the last {DAYS} days to compare the names with")
        return
    seen = {dimension: _seen(clickhouse, dimension) for dimension in {kind for kind, _, _ in named}}
    for dimension, name, loc in named:
        if name not in seen[dimension]:
            few = len(seen[dimension]) <= MOST_COMPARED
            close = nearest(name, sorted(seen[dimension])) if few else None
            hint = f'; did you mean "{close}"?' if close else ""
            word = dimension.replace("_", " ")
            yield Suspicion(loc, f'no spend of {word} "{name}" in {DAYS} days{hint}')


_RECENT = f"minute >= now() - INTERVAL {DAYS} DAY"


def _named(book: BudgetBook) -> Iterator[tuple[Dimension, str, Loc]]:
    for index, budget in enumerate(book.budgets):
        scopes = [(budget.where, ("budgets", index, "where"))] + [
            (exception.members, ("budgets", index, "exceptions", number, "members"))
            for number, exception in enumerate(budget.exceptions)
        ]
        for scope, loc in scopes:
            for dimension, names in scope.items():
                for number, name in enumerate(names):
                    yield dimension, name, (*loc, dimension, number)


def _seen(clickhouse: ClickHouse, dimension: Dimension) -> frozenset[str]:
    rows = clickhouse.query(
        f"SELECT DISTINCT `{dimension}` FROM spend WHERE {_RECENT} AND `{dimension}` IS NOT NULL"
    )
    return frozenset(str(name) for (name,) in rows)
