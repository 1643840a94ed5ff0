"""The alert for a guard that does not agree with the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.alerts import Alert
from streams.guard.concern import AsOf
from streams.guard.state import Drift


def drift_alert(concern: str, drift: Drift, at: AsOf) -> Alert:
    """Critical: this must never happen, and says which counters to look at."""
    now = datetime.now(UTC)
    examples = ", ".join(
        f"{name}: guard {ours}, ledger {theirs}"
        for name, (ours, theirs) in sorted(drift.differing.items())[:3]
    )
    return Alert(
        rule="drift",
        scope={"concern": concern},
        period=f"{at.journal}@{drift.position}",
        threshold="0",
        transition="opened",
        severity="critical",
        title=f"The guard's {concern} differ from the ledger",
        detail=f"{len(drift.differing)} counters differ as of entry {drift.position}: {examples}",
        action="Run spendstream reconcile, and restart the guard: it loads the ledger's figures.",
        since=now,
        at=now,
        journal=at.journal,
        position=drift.position,
    )
