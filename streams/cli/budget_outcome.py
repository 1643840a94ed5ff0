"""What `spendstream budgets simulate` says: the transitions in order, and what they come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from rich.markup import escape
from rich.table import Table

from schemas.alerts import Alert, Rule
from sinks.amounts import amount_text, limit_text
from streams.budgets.book import BudgetBook
from streams.budgets.spent import Spent
from streams.cli.consoles import wide_console
from streams.simulation.report import BudgetCount, RuleCount, by_budget, by_rule
from streams.simulation.run import Outcome

TRANSITIONS = ("opened", "escalated", "resolved", "restated")
PRECISION = "Times are event time, to five minutes; during a storm or an outage to the minute."


def print_outcome(outcome: Outcome, book: BudgetBook) -> None:
    """For a person; times are those of the book's zone."""
    console = wide_console()
    zone = ZoneInfo(book.timezone)
    for alert in outcome.transitions:
        console.print(_line(alert, zone), markup=False, soft_wrap=True)
    if outcome.transitions:
        console.print()
    rules, budgets = by_rule(outcome.transitions), _by_budget(outcome, book)
    for part in _summary(outcome, rules, budgets):
        console.print(part, markup=False, soft_wrap=isinstance(part, str))


def as_document(outcome: Outcome, book: BudgetBook) -> dict[str, Any]:
    """For machines: money is exact text, times are UTC."""
    rules, budgets = by_rule(outcome.transitions), _by_budget(outcome, book)
    return {
        "from": outcome.days.first.isoformat(),
        "to": outcome.days.last.isoformat(),
        "timezone": book.timezone,
        "rows": outcome.rows,
        "open_before": outcome.open_before,
        "transitions": [
            {"id": alert.alert_id, **alert.model_dump(mode="json", exclude={"journal", "position"})}
            for alert in outcome.transitions
        ],
        "rules": {
            rule: {
                **{name: count.transitions[name] for name in TRANSITIONS},
                "scopes": count.scopes,
            }
            for rule, count in rules.items()
        },
        "budgets": {
            name: {
                "highest": _as_json(outcome.peaks.get(name)),
                "opened": {str(at): count for at, count in sorted(found.percents.items())}
                | dict(found.others),
                "members": found.members,
            }
            for name, found in budgets.items()
        },
        "silent": {
            "budgets": [name for name, found in budgets.items() if not found.percents],
            "rules": _quiet(outcome),
        },
        "notes": list(_notes(outcome)),
    }


def _line(alert: Alert, zone: ZoneInfo) -> str:
    at = f"{alert.at.astimezone(zone):%Y-%m-%d %H:%M}"
    line = f"{at}  {alert.transition:<9}  {alert.severity:<8}  {alert.title}"
    if alert.value is None:
        return line
    limit = "" if alert.limit is None else f" of {limit_text(alert.limit, alert.unit)}"
    return f"{line}  {amount_text(alert.value, alert.unit)}{limit}"


def _summary(
    outcome: Outcome, rules: dict[Rule, RuleCount], budgets: dict[str, BudgetCount]
) -> Iterator[str | Table]:
    days = outcome.days
    opened = sum(count.transitions["opened"] for count in rules.values())
    yield (
        f"{days.first} to {days.last} ({days.zone}), {outcome.rows:,} rows of usage: "
        f"{_counted(opened, 'alert')}"
    )
    if rules:
        yield ""
        yield _rule_table(rules)
    if budgets:
        yield ""
        yield _budget_table(outcome, budgets)
    silent = list(_silent(outcome, budgets))
    if silent:
        yield ""
        yield "Nobody would have been told of:"
        yield from (f"  {line}" for line in silent)
    yield ""
    yield from _notes(outcome)


def _rule_table(rules: dict[Rule, RuleCount]) -> Table:
    table = _table("rule", right=TRANSITIONS, left=("most for one",))
    for rule, count in rules.items():
        counts = (f"{count.transitions[name]:,}" for name in TRANSITIONS)
        table.add_row(_named(rule), *counts, escape(_most(count.scopes)))
    return table


def _budget_table(outcome: Outcome, budgets: dict[str, BudgetCount]) -> Table:
    table = _table("budget", right=("fullest", "members told of"), left=("opened", "most for one"))
    for name, count in budgets.items():
        highest = outcome.peaks.get(name)
        reached = [f"{at} %: {opened:,}" for at, opened in sorted(count.percents.items())]
        reached += [f"{_named(rule)}: {opened:,}" for rule, opened in count.others.items()]
        table.add_row(
            escape(name),
            "" if highest is None else f"{highest.percent:,f} %",
            f"{len(count.members):,}",
            ", ".join(reached),
            escape(_most(count.members)),
        )
    return table


def _table(first: str, right: tuple[str, ...], left: tuple[str, ...]) -> Table:
    table = Table(show_edge=False, header_style="bold", pad_edge=False)
    table.add_column(first)
    for name in right:
        table.add_column(name, justify="right")
    for name in left:
        table.add_column(name)
    return table


def _silent(outcome: Outcome, budgets: dict[str, BudgetCount]) -> Iterator[str]:
    for name, count in budgets.items():
        if count.percents:
            continue
        highest = outcome.peaks.get(name)
        if highest is None:
            yield f"{name}: nothing that it counts was spent at a rate that is known"
        else:
            yield f"{name}: {_peak(highest)}"
    if quiet := _quiet(outcome):
        yield f"{', '.join(map(_named, quiet))}: there was none"


def _peak(spent: Spent) -> str:
    unit = spent.budget.unit
    period = f" in {spent.period.name}" if spent.period.name else ""
    before = ", reached before" if spent.reached(spent.budget.thresholds[0].at) else ""
    return (
        f"{spent.percent:,f} % at most, {amount_text(spent.used, unit)} of "
        f"{limit_text(spent.limit, unit)} by {spent.who[0].lower()}{spent.who[1:]}{period}{before}"
    )


def _notes(outcome: Outcome) -> Iterator[str]:
    if outcome.open_before:
        yield f"Open already when these days began: {_counted(outcome.open_before, 'alert')}."
    since, start = outcome.prompts_since, outcome.days.start
    if since is None or since >= outcome.days.end:
        yield "Repeated prompts of these days are not known: storms are found by attempts alone."
    elif since > start:
        yield (
            f"Repeated prompts are known from {since:%Y-%m-%d} on: storms of before that are found "
            "by attempts alone."
        )
    yield PRECISION


def _quiet(outcome: Outcome) -> list[Rule]:
    said = {alert.rule for alert in outcome.transitions}
    return [rule for rule in outcome.watched if rule not in said]


def _by_budget(outcome: Outcome, book: BudgetBook) -> dict[str, BudgetCount]:
    return by_budget(outcome.transitions, [budget.name for budget in book.budgets])


def _as_json(spent: Spent | None) -> dict[str, object] | None:
    if spent is None:
        return None
    return {
        "percent": f"{spent.percent:f}",
        "used": f"{spent.used:f}",
        "limit": f"{spent.limit:f}",
        "unit": spent.budget.unit,
        "scope": spent.budget.scope_of(spent.member),
        "period": spent.period.name,
    }


def _most(counts: Counter[str]) -> str:
    """Whom the most alerts are about, where that is more than one."""
    for who, count in counts.most_common(1):
        return f"{count:,}: {who}" if count > 1 else ""
    return ""


def _named(rule: Rule) -> str:
    return rule.replace("_", " ")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
