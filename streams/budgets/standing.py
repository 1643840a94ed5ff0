"""Where every member of every budget stands, and where it is heading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from sinks.clickhouse import ClickHouse
from sinks.ledger import Ledger
from streams.budgets.book import BudgetBook
from streams.budgets.budgets import Budgets
from streams.budgets.pace import Outlook, Pace
from streams.budgets.periods import Rolling
from streams.budgets.spent import EXACT, Spent
from streams.guard.concern import AsOf


@dataclass(frozen=True, slots=True)
class Standing:
    """What a member has used of its current period or window. ``outlook`` is None for rolling
    windows, and where nothing was spent in the last seven days."""

    spent: Spent
    outlook: Outlook | None

    @property
    def is_rolling(self) -> bool:
        """Whether the budget is one of a window that moves, which never ends."""
        return isinstance(self.spent.budget.period, Rolling)

    def as_json(self) -> dict[str, object]:
        """For machines. Money is exact text, times are UTC; null is what cannot be said."""
        spent, outlook = self.spent, self.outlook
        breach = outlook.breach if outlook else None
        return {
            "budget": spent.budget.name,
            "scope": spent.budget.scope_of(spent.member),
            "period": spent.period.name,
            "since": spent.period.start.isoformat(),
            "until": None if self.is_rolling else spent.period.end.isoformat(),
            "used": f"{spent.used:f}",
            "limit": f"{spent.limit:f}",
            "unit": spent.budget.unit,
            "percent": f"{spent.percent:f}",
            "hourly": _text(outlook.hourly) if outlook else None,
            "forecast": _text(outlook.forecast) if outlook else None,
            "breach": breach.isoformat() if breach else None,
        }


@dataclass(frozen=True, slots=True)
class Standings:
    """All members that have used something, the fullest first, ``at`` this event time (UTC)."""

    at: datetime
    members: list[Standing]


def standings(budgets: Budgets, pace: Pace, now: datetime) -> Standings:
    """Of the budgets as they are counted now."""
    members = [Standing(spent, pace.outlook(spent, now)) for spent in budgets.current(now)]
    members.sort(key=lambda one: one.spent.used / one.spent.limit, reverse=True)
    return Standings(now, members)


def standings_of_ledger(clickhouse: ClickHouse, book: BudgetBook) -> Standings | None:
    """As of the ledger's newest position, at its newest minute; None where it is empty."""
    at = _newest_position(clickhouse)
    if at is None:
        return None
    ((count, newest),) = clickhouse.query(
        "SELECT count(), toUnixTimestamp(max(minute)) FROM spend "
        f"WHERE {AsOf.SQL} AND minute <= now()",
        at.parameters,
    )
    if not count:
        return None
    now = datetime.fromtimestamp(int(newest), UTC)
    budgets = Budgets(book)
    pace = Pace(budgets)
    for concern in (budgets, pace):
        concern.load(clickhouse, at, now)
    return standings(budgets, pace, now)


def _newest_position(clickhouse: ClickHouse) -> AsOf | None:
    """Of the journal that was written to last: there are others where Kafka was begun anew."""
    journals = clickhouse.query(
        "SELECT journal FROM ledger_progress GROUP BY journal "
        "ORDER BY max(appended_at) DESC LIMIT 1"
    )
    for (journal,) in journals:
        return AsOf(journal, Ledger(clickhouse, journal).progress().position)
    return None


def _text(amount: Decimal) -> str:
    """With the twelve decimals that money has here, at most."""
    return f"{amount.quantize(Decimal('1e-12'), context=EXACT).normalize(EXACT):f}"
