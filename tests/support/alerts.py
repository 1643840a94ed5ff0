"""Alert transitions for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.alerts import Alert

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def an_alert(**changes: Any) -> Alert:
    """Team search has reached 80 % of its budget of March 2026."""
    fields: dict[str, Any] = {
        "rule": "budget",
        "scope": {"team": "search"},
        "period": "2026-03",
        "threshold": "80",
        "transition": "opened",
        "severity": "warning",
        "title": "Team search has used 81.0 % of its 2026-03 budget",
        "detail": "The threshold of 80 % was reached.",
        "action": "See which application grew.",
        "value": "8.1",
        "limit": "10",
        "since": datetime(2026, 3, 1, tzinfo=UTC),
        "at": NOON,
        "journal": "cluster/llm.spend",
        "position": 7,
    }
    return Alert.model_validate(fields | changes)
