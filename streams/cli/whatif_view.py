"""A scenario as `spendstream whatif` shows it: tables in a terminal, or one JSON object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.scenarios.base import Base
from reports.scenarios.budgets import Against
from reports.scenarios.scenario import Line, Outcome, Scenario, outcome, outcomes_by
from schemas.journal import money_text
from sinks.amounts import amount_text, limit_text, percent
from streams.cli.consoles import plain_table
from streams.cli.usd_words import NOTHING, signed_usd, usd_text

SHOWN = 15
"""Lines of each table; --json has all."""

_BY: dict[str, Callable[[Line], str]] = {
    "provider": lambda line: line.provider,
    "model": lambda line: f"{line.provider}/{line.model}",
    "team": lambda line: line.team,
}
ASSUMPTIONS = (
    "every call of what changes gets dearer or cheaper alike, and grows alike: the mix stays, and "
    "what agreements gave or took of it grows with it",
    "a price changes all of a model's cost; what is not named stays as it is",
)


def print_scenario(
    console: Console, base: Base, scenario: Scenario, budgets: Sequence[Against], said: str
) -> None:
    """What is asked, a table each by provider, model and team, and the budgets."""
    console.print(Text(f"What if {said}?", style="bold"))
    days = (base.last - base.first).days + 1
    open_end = base.last >= datetime.now(UTC).date()
    so_far = " so far" if open_end else ""
    console.print(Text(f"on {base.first} to {base.last} (UTC, {days} days){so_far}\n"))
    whole = outcome("total", base.lines, scenario)
    for name, key in _BY.items():
        found = outcomes_by(key, base.lines, scenario)
        if name == "provider" and len(found) == 1:
            continue
        console.print(_table(name, found[:SHOWN], whole))
        if (more := len(found) - SHOWN) > 0:
            console.print(f"… and {more:,} more (--json shows them)")
        console.print()
    _print_budgets(console, budgets)
    for words in ASSUMPTIONS:
        console.print(f"assumed: {words}", style="dim")
    if base.unknown:
        console.print(f"not in it: {base.unknown:,} calls whose cost is not known", style="dim")


def _print_budgets(console: Console, budgets: Sequence[Against]) -> None:
    if not budgets:
        console.print("No budget of this period is on record.\n")
        return
    over = sum(one.high > one.limit for one in budgets)
    sure = sum(one.low > one.limit for one in budgets)
    counted = f"{over:,}" if over == sure else f"{sure:,} to {over:,}"
    console.print(f"Budgets over their limit: {counted} of {len(budgets):,}", style="bold")
    table = plain_table(("budget", "limit", "used", "would be used"), numbers={1, 2, 3})
    for one in budgets[:SHOWN]:
        who = ", ".join(f"{name} {value}" for name, value in sorted(one.scope.items()))
        ends = [amount_text(end, one.unit) for end in (one.low, one.high)]
        shares = [percent(end, one.limit) or NOTHING for end in (one.low, one.high)]
        table.add_row(
            Text(one.budget + (f" ({who})" if who else "")),
            limit_text(one.limit, one.unit),
            amount_text(one.used, one.unit),
            f"{_to(ends)} ({_to(shares)})",
        )
    console.print(table)
    if (more := len(budgets) - SHOWN) > 0:
        console.print(f"… and {more:,} more (--json shows them)")
    console.print()


def _table(name: str, rows: Iterable[Outcome], whole: Outcome) -> Table:
    table = plain_table((name, "cost", "would cost", "more"), numbers={1, 2, 3})
    for one in (*rows, whole):
        ends = [usd_text(end) for end in (one.low, one.high)]
        more = [signed_usd(end) for end in one.more or ()] or [NOTHING] * 2
        style = "bold" if one is whole else ""
        cells = (one.name, usd_text(one.base), _to(ends), _to(more))
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _to(ends: Sequence[str]) -> str:
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def as_document(
    base: Base, scenario: Scenario, budgets: Iterable[Against], said: str
) -> dict[str, Any]:
    """For machines; money is exact decimal text, USD unless a unit is beside it."""
    return {
        "scenario": said,
        "from": str(base.first),
        "to": str(base.last),
        "assumptions": list(ASSUMPTIONS),
        "calls_without_known_cost": base.unknown,
        "total": _outcome(outcome("total", base.lines, scenario)),
        **{
            f"by_{name}": [_outcome(one) for one in outcomes_by(key, base.lines, scenario)]
            for name, key in _BY.items()
        },
        "budgets": [
            {
                "budget": one.budget,
                "scope": dict(one.scope),
                "unit": one.unit,
                "limit": money_text(one.limit),
                "used": money_text(one.used),
                "low": money_text(one.low),
                "high": money_text(one.high),
            }
            for one in budgets
        ],
    }


def _outcome(one: Outcome) -> dict[str, str | None]:
    low, high = one.more or (None, None)
    amounts = {
        "base_usd": one.base,
        "low_usd": one.low,
        "high_usd": one.high,
        "low_more_usd": low,
        "high_more_usd": high,
    }
    exact = {name: None if usd is None else money_text(usd) for name, usd in amounts.items()}
    return {"name": one.name, **exact}
