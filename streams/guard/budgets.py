"""Team budgets per calendar month: exact counters, and which thresholds they have crossed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl

from schemas.alerts import Alert, Contributor, Severity
from sinks.clickhouse import ClickHouse
from streams.guard.budget_file import BudgetBook, TeamBudget
from streams.guard.concern import Accepted, AsOf
from streams.guard.money import pico, usd

RECENT_HOURS = 24
"""A load looks at this month and the last, and at older ones that something was metered for in this
time: a budget that is new must not raise an alert for every month of the past."""
TOP = 3
"""Contributors named in an alert: more than a reader acts on is noise."""


@dataclass(slots=True)
class Spent:
    """What one application of a team spent in one month: pico-dollars and calls."""

    cost: int = 0
    calls: int = 0


class Budgets:
    """Counts every team, so that a budget that is added later is right at once."""

    name = "budgets"

    def __init__(self, book: BudgetBook) -> None:
        self.book = book
        self._spent: dict[tuple[str, str], dict[str | None, Spent]] = {}
        self._changed: set[tuple[str, str]] = set()

    def fresh(self) -> Budgets:
        """The same budgets with nothing counted yet."""
        return Budgets(self.book)

    def load(self, clickhouse: ClickHouse, at: AsOf) -> None:
        """Sums of the ledger by team, month of the book's zone, and application."""
        rows = clickhouse.query(
            "SELECT team, formatDateTime(minute, '%Y-%m', {zone:String}) AS month, application, "
            "sum(cost), sum(calls), max((journal, position) IN (SELECT journal, position "
            f"FROM ledger_progress WHERE appended_at > now() - INTERVAL {RECENT_HOURS} HOUR)) "
            f"FROM spend WHERE {AsOf.SQL} GROUP BY team, month, application",
            {**at.parameters, "zone": self.book.timezone},
        )
        since = self._previous_month()
        for team, month, application, cost, calls, recent in rows:
            changed = bool(recent) or month >= since
            self._add(team, month, application, pico(cost), int(calls), changed=changed)

    def apply(self, entry: Accepted) -> None:
        """Add an entry's rows."""
        month = pl.col("minute").dt.convert_time_zone(self.book.timezone).dt.strftime("%Y-%m")
        sums = entry.rows.group_by("team", month.alias("month"), "application").agg(
            pl.col("cost").sum(), pl.col("calls").sum()
        )
        for team, in_month, application, cost, calls in sums.iter_rows():
            self._add(team, in_month, application, pico(cost), calls, changed=True)

    def alerts(self, at: AsOf, now: datetime) -> Sequence[Alert]:
        """An opened transition per threshold reached; resolved where it no longer is."""
        changed, self._changed = self._changed, set()
        return [
            self._transition(budget, month, percent, spent, at, now)
            for budget, month, spent in self._budgeted(changed)
            for percent in budget.thresholds
        ]

    def counters(self) -> Mapping[str, int]:
        """Cost of each team, month and application."""
        return {
            f"{team} {month} {application}": spent.cost
            for (team, month), parts in self._spent.items()
            for application, spent in parts.items()
        }

    def status(self) -> list[dict[str, object]]:
        """Each budget's actual and limit, for the web."""
        return [
            {
                "team": budget.team,
                "month": month,
                "spent_usd": f"{usd(spent.cost):f}",
                "limit_usd": f"{budget.monthly_usd:f}",
                "percent": f"{percent_of(spent.cost, budget):f}",
            }
            for budget, month, spent in self._budgeted(self._spent)
        ]

    def _previous_month(self) -> str:
        today = datetime.now(ZoneInfo(self.book.timezone)).date()
        return (today.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")

    def _add(
        self,
        team: str,
        month: str,
        application: str | None,
        cost: int,
        calls: int,
        *,
        changed: bool,
    ) -> None:
        parts = self._spent.setdefault((team, month), {})
        spent = parts.setdefault(application, Spent())
        spent.cost += cost
        spent.calls += calls
        if changed:
            self._changed.add((team, month))

    def _budgeted(self, keys: Iterable[tuple[str, str]]) -> Iterator[tuple[TeamBudget, str, Spent]]:
        budgets = {budget.team: budget for budget in self.book.budgets}
        for team, month in sorted(keys):
            if team in budgets:
                parts = self._spent[team, month]
                cost = sum(spent.cost for spent in parts.values())
                calls = sum(spent.calls for spent in parts.values())
                yield budgets[team], month, Spent(cost, calls)

    def _transition(
        self,
        budget: TeamBudget,
        month: str,
        percent: int,
        spent: Spent,
        at: AsOf,
        now: datetime,
    ) -> Alert:
        limit = pico(budget.monthly_usd)
        reached = spent.cost * 100 >= limit * percent
        used = percent_of(spent.cost, budget)
        parts = self._spent[budget.team, month].items()
        top = sorted(parts, key=lambda part: part[1].cost, reverse=True)[:TOP]
        return Alert(
            rule="budget",
            scope={"team": budget.team},
            period=month,
            threshold=str(percent),
            transition="opened" if reached else "resolved",
            severity=_severity(percent) if reached else "info",
            title=(
                f"Team {budget.team[:60]} has used {used:f} % of its {month} budget"
                if reached
                else f"Team {budget.team[:60]} is back under {percent} % of its {month} budget"
            ),
            detail=f"The threshold of {percent} % was {'reached' if reached else 'left'}.",
            action=_action(percent) if reached else "Nothing to do.",
            value=usd(spent.cost),
            limit=budget.monthly_usd,
            since=month_start(month, self.book.timezone),
            at=now,
            contributors=tuple(
                Contributor(name=name or "(no application)", cost=usd(part.cost), calls=part.calls)
                for name, part in top
            ),
            journal=at.journal,
            position=at.position,
        )


def percent_of(cost: int, budget: TeamBudget) -> Decimal:
    """Share of the budget in percent, one decimal, rounded down: 100 means that it is reached."""
    return Decimal(cost * 1000 // pico(budget.monthly_usd)).scaleb(-1)


def month_start(month: str, zone: str) -> datetime:
    """First instant of the month in the zone, as UTC."""
    year, number = month.split("-")
    return datetime(int(year), int(number), 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _severity(percent: int) -> Severity:
    if percent >= 100:
        return "critical"
    return "warning" if percent >= 80 else "info"


def _action(percent: int) -> str:
    if percent >= 100:
        return "The budget is used up: stop what can wait, or have the budget raised."
    return "See which application grew, and whether a cheaper model or caching would do."
