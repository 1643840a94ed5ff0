"""What the guard answers over HTTP: JSON, read-only. Times are UTC, money is exact text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.budgets.budgets import Budgets
from streams.budgets.pace import Pace
from streams.budgets.standing import standings
from streams.guard.guard import Guard
from streams.guard.totals import Totals

Answer = tuple[int, Any]
"""HTTP status and a body for JSON."""

_LOADING: Answer = (503, {"error": "the guard is still loading its state; try again"})


def ready(guard: Guard) -> Answer:
    """200 once the state is loaded; how many deliveries are still to be made."""
    body = {"ready": guard.ready, "undelivered": guard.notifier.undelivered}
    return (200 if guard.ready else 503), body


def state(guard: Guard) -> Answer:
    """Totals per source partition as of a journal position, for `spendstream reconcile`."""
    if not guard.ready:
        return _LOADING
    follower, totals = guard.follower, guard.concern(Totals)
    return 200, {
        "journal": follower.at.journal,
        "position": follower.at.position,
        "partitions": [
            {
                "source": key.source,
                "partition": key.partition,
                "calls": totals.calls[key],
                "cost_pico_usd": str(totals.cost[key]),
            }
            for key in sorted(totals.calls)
        ],
        "drift": {
            name: {"position": drift.position, "differing": len(drift.differing)}
            for name, drift in guard.drift.items()
        },
    }


def budgets(guard: Guard) -> Answer:
    """What each member has used of its current period or window, and where it is heading."""
    if not guard.ready:
        return _LOADING
    concern = guard.concern(Budgets)
    now = standings(concern, guard.concern(Pace), guard.follower.clock.now())
    return 200, {
        "timezone": concern.book.timezone,
        "at": now.at.isoformat(),
        "budgets": [member.as_json() for member in now.members],
    }


def alerts(guard: Guard) -> Answer:
    """Alerts that are open."""
    return 200, [
        {"id": history.newest.alert_id, **history.newest.model_dump(mode="json")}
        for history in guard.desk.open_alerts()
    ]


VIEWS: Mapping[str, Callable[[Guard], Answer]] = {
    "/readyz": ready,
    "/v1/state": state,
    "/v1/budgets": budgets,
    "/v1/alerts": alerts,
}
