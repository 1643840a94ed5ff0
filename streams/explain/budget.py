"""A budget: what a member has used of it now, and the spend that this is made of."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from schemas.errors import UserError
from sinks.amounts import amount_text, limit_text
from sinks.clickhouse import ClickHouse
from streams.budgets.book import BudgetBook
from streams.budgets.currencies import USD
from streams.budgets.standing import Standing, standings_of_ledger
from streams.explain.cell import Cell, explain_cell
from streams.explain.step import Step, plural
from streams.file_model import known_or_nearest

SHOWN = 5
"""Members that are named where it is not said which."""


def explain_budget(
    clickhouse: ClickHouse, book: BudgetBook, name: str, member: Mapping[str, str]
) -> Step:
    """The fullest member of a budget, or the one named by dimension → value; as of the newest
    minute of the ledger.

    Raises UserError for an unknown budget or member, and for an empty ledger.
    """
    names = [budget.name for budget in book.budgets]
    if name not in names:
        raise UserError(f"there is no budget {name!r}; {known_or_nearest(name, names)}")
    found = standings_of_ledger(clickhouse, book)
    if found is None:
        raise UserError("the ledger is empty: nothing was spent yet")
    of_it = [one for one in found.members if one.spent.budget.name == name]
    chosen = [one for one in of_it if member.items() <= _scope(one).items()]
    if not chosen:
        if not of_it:
            raise UserError(f"nothing was used of the budget {name} in its current period")
        known = "; ".join(one.spent.who for one in of_it[:SHOWN])
        raise UserError(f"no such member of the budget {name} has used any of it; known: {known}")
    return _explained(clickhouse, book, chosen[0], more=len(chosen) - 1)


def _scope(standing: Standing) -> dict[str, str]:
    return standing.spent.budget.scope_of(standing.spent.member)


def _explained(clickhouse: ClickHouse, book: BudgetBook, standing: Standing, more: int) -> Step:
    spent, outlook = standing.spent, standing.outlook
    budget = spent.budget
    where: dict[str, tuple[str, ...]] = {
        name: tuple(values) for name, values in budget.where.items()
    }
    where |= {name: (value,) for name, value in _scope(standing).items()}
    cell = Cell(spent.period.start, spent.period.end, where, shadows=book.shadow == "count")
    used = amount_text(spent.used, budget.unit)
    facts = [f"{used} of {limit_text(spent.limit, budget.unit)}, {spent.percent:f} %"]
    if outlook is not None and budget.is_money:
        facts.append(f"heading for {amount_text(Decimal(outlook.forecast), budget.unit)}")
    if more:
        facts.append(f"{plural(more, 'other member')} less full: --of names another")
    below = explain_cell(clickhouse, cell)
    doubt = None
    if budget.unit == USD:
        if (below.amount or Decimal(0)) == spent.used:
            facts.append("what its spend below adds up to, to the last digit")
        else:
            doubt = f"its spend below adds up to {below.amount}, and not to {spent.used}"
    elif budget.is_money:
        facts.append("in USD below, by the rates of the budgets file")
    amount = spent.used if budget.unit == USD else None
    title = f"budget {budget.name}, {spent.who}, {spent.period.name}"
    return Step(title, amount, tuple(facts), None, doubt, (below,))
