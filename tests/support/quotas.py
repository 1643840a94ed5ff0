"""Records of the quotas topic for tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from schemas.quotas import BudgetDefinition, MemberState, Stamp
from tests.support.ledger_rows import JOURNAL

NOW = datetime(2026, 3, 10, 13, tzinfo=UTC)
MONTH = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def stamp(position: int = 7, seconds: float = 0, journal: str = JOURNAL) -> Stamp:
    """As of this entry, so many seconds after `NOW`."""
    return Stamp(journal=journal, position=position, at=NOW + timedelta(seconds=seconds))


def definition(budget: str = "users", **changes: Any) -> BudgetDefinition:
    """A budget of 100 USD a month for each user, which refuses at 100 %."""
    fields = {
        "budget": budget,
        "each": ("user",),
        "where": {},
        "limit": 100,
        "unit": "USD",
        "exceptions": (),
        "actions": ({"at": 100, "do": "refuse"},),
        "period": "month",
        "period_start": MONTH[0],
        "period_end": MONTH[1],
        "window_seconds": None,
        "as_of": stamp(),
    }
    return BudgetDefinition.model_validate(fields | changes)


def state(
    budget: str = "users",
    used: Decimal | int | None = 40,
    member: Mapping[str, str] | None = None,
    **changes: Any,
) -> MemberState:
    """What user ann has used of 100 USD a month; nothing follows from it."""
    fields = {
        "budget": budget,
        "member": {"user": "ann"} if member is None else member,
        "used": used,
        "limit": 100,
        "unit": "USD",
        "period_start": MONTH[0],
        "period_end": MONTH[1],
        "allowed": True,
        "degrade_to": None,
        "since": MONTH[0],
        "reason": f"{budget} has a reason.",
        "valid_until": MONTH[1],
        "as_of": stamp(),
    }
    return MemberState.model_validate(fields | changes)
