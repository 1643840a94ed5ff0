"""The alert for a guard that does not agree with the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.alerts import Alert
from streams.guard.concern import AsOf
from streams.guard.state import Drift


def drift_alert(concern: str, drift: Drift, at: AsOf) -> Alert:
    """Opened while counters differ, resolved when they do not: one alert per concern and day.

    Critical: it must never happen. It says which counters to look at.
    """
    now = datetime.now(UTC)
    over = not drift.differing
    examples = ", ".join(
        f"{name}: guard {ours}, ledger {theirs}"
        for name, (ours, theirs) in sorted(drift.differing.items())[:3]
    )
    return Alert(
        rule="drift",
        scope={"concern": concern},
        period=f"{at.journal} {now:%Y-%m-%d}",
        threshold="0",
        transition="resolved" if over else "opened",
        severity="info" if over else "critical",
        title=f"The guard's {concern} {'agree with' if over else 'differ from'} the ledger",
        detail=f"{len(drift.differing)} counters differ as of entry {drift.position}: {examples}",
        action=(
            "Nothing to do."
            if over
            else "Run spendstream reconcile, and restart the guard: it loads the ledger's figures."
        ),
        since=now,
        at=now,
        journal=at.journal,
        position=drift.position,
    )
