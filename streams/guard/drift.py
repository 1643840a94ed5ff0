"""Drift: the copies that must agree, compared while the system runs, and the alert when not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from schemas.alerts import Alert
from sinks.clickhouse import ClickHouse
from streams.guard.concern import AsOf
from streams.guard.state import Drift
from streams.reconciliation.verdict import reconcile

ARCHIVE = "archive"
"""The name under which the archive's drift from the ledger stands beside the guard's concerns."""


async def archive_drift(clickhouse: ClickHouse, position: int) -> Drift:
    """Compare archive and ledger, as `spendstream reconcile` does. Raises ClickHouseError.

    What retention took from the archive is on record and does not count as drift.
    """
    verdict = await asyncio.to_thread(reconcile, clickhouse, None)
    differing = {}
    if not verdict.archive_agrees:
        differing = {f"{d.cell} {d.figure}": d.values for d in verdict.differences}
    return Drift(differing, position, datetime.now(UTC))


def drift_alert(concern: str, drift: Drift, at: AsOf) -> Alert:
    """Opened while counters differ, resolved when they do not: one alert per concern and day.

    Critical: it must never happen. It says which counters to look at.
    """
    now = datetime.now(UTC)
    over = not drift.differing
    copy = "archive" if concern == ARCHIVE else "guard"
    examples = ", ".join(
        f"{name}: {copy} {ours}, ledger {theirs}"
        for name, (ours, theirs) in sorted(drift.differing.items())[:3]
    )
    return Alert(
        rule="drift",
        scope={"concern": concern},
        period=f"{at.journal} {now:%Y-%m-%d}",
        threshold="0",
        transition="resolved" if over else "opened",
        severity="info" if over else "critical",
        title=_title(concern, over=over),
        detail=f"{len(drift.differing)} counters differ as of entry {drift.position}: {examples}",
        action="Nothing to do." if over else _ACTIONS[copy],
        since=now,
        at=now,
        journal=at.journal,
        position=drift.position,
    )


_ACTIONS = {
    "archive": "Run spendstream reconcile: it says why, and corrects it with --repair.",
    "guard": "Run spendstream reconcile, and restart the guard: it loads the ledger's figures.",
}


def _title(concern: str, *, over: bool) -> str:
    if concern == ARCHIVE:
        return f"The archive {'agrees with' if over else 'differs from'} the ledger"
    return f"The guard's {concern} {'agree with' if over else 'differ from'} the ledger"
