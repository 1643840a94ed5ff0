"""Rows and steps of event time for tests of the detectors of waste and access."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from schemas.alerts import Alert
from streams.guard.concern import Accepted, AsOf
from tests.support.ledger_rows import JOURNAL, NOON, accepted_entry, journal_row

AT = AsOf(JOURNAL, 0)


class Detector(Protocol):
    def apply(self, entry: Accepted) -> None: ...

    def alerts(self, at: AsOf, now: datetime) -> Iterable[Alert]: ...


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


def row(at: int = 0, calls: int = 1, **changes: Any) -> dict[str, Any]:
    """Calls at a minute after noon; a void where ``calls`` is negative."""
    return journal_row(minute=minute(at), calls=calls, **changes)


def entry(*rows: dict[str, Any]) -> Accepted:
    return accepted_entry(0, *rows)


def fed(detector: Detector, *rows: dict[str, Any], now: int | None = None) -> list[Alert]:
    """What the detector reports after these rows, at their newest minute or ``now``."""
    took = entry(*rows)
    detector.apply(took)
    return list(detector.alerts(AT, took.now if now is None else minute(now)))


def later(detector: Detector, now: int) -> list[Alert]:
    return list(detector.alerts(AT, minute(now)))


def states(alerts: Iterable[Alert]) -> list[str]:
    return [f"{alert.transition} {alert.level}" for alert in alerts]
