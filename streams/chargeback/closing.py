"""Closing a month: what must hold, and what is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from reports.chargeback.boundaries import closed_since
from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from sinks.closings import Closing, Total, closings, positions_now, record_closing, totals

GRACE = timedelta(days=1)
"""After a month's end its last events may still land, as `restated_spend` has it too."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A closing that is not recorded yet. ``before``: the newest one of the month, if any, and what
    it came to by team."""

    closing: Closing
    totals: tuple[Total, ...]
    before: Closing | None
    totals_before: tuple[Total, ...]

    @property
    def changes(self) -> bool:
        """False where it would say what the closing before it says."""
        return self.before is None or self.totals != self.totals_before

    def early(self, now: datetime) -> bool:
        """True where the last events of the month may still land."""
        return now < _end(self.closing.month) + GRACE


def draft(clickhouse: ClickHouse, month: date, by: str, why: str, now: datetime) -> Draft:
    """The next closing of a month (its first day), as of what is in the ledger now.

    Raises UserError where the month cannot be closed, and ClickHouseError.
    """
    if now < _end(month):
        raise UserError(
            f"--month: {month:%Y-%m} goes on until {_end(month):%Y-%m-%d} 00:00 UTC; "
            "close it then, or close the month before"
        )
    made = closings(clickhouse)
    own = [one for one in made if one.month == month]
    before = own[-1] if own else None
    _check_order(made, month)
    positions = positions_now(clickhouse)
    found = totals(clickhouse, month, positions)
    if not found:
        raise UserError(f"--month: the ledger has nothing of {month:%Y-%m} (UTC) to close")
    costs = [one.cost for one in found if one.cost is not None]
    closing = Closing(
        month=month,
        number=before.number + 1 if before else 1,
        closed_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        by=by,
        why=why,
        positions=positions,
        calls=sum(one.calls for one in found),
        cost=sum(costs, Decimal(0)) if costs else None,
    )
    earlier = totals(clickhouse, month, before.positions) if before else []
    return Draft(closing, tuple(found), before, tuple(earlier))


def record(clickhouse: ClickHouse, drafted: Draft) -> None:
    """Record it. Raises ClickHouseError, and AlreadyClosed where somebody was faster."""
    record_closing(clickhouse, drafted.closing, drafted.totals)


def _check_order(made: Sequence[Closing], month: date) -> None:
    if (later := closed_since(made, month)) is not None:
        raise UserError(
            f"--month: {later} was made since {month:%Y-%m} was closed; what changes in "
            f"{month:%Y-%m} now is on the statement of the next month that is closed"
        )


def _end(month: date) -> datetime:
    return datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
