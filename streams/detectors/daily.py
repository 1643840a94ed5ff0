"""What the rules by UTC day have in common: today and yesterday are judged, and no day before.

Their alerts are named by the day, so that a restart finds them again by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from schemas.alerts import Alert, Rule
from sinks.clickhouse import ClickHouse
from streams.detectors.report import NOTHING_TO_DO, ORGANISATION, Report
from streams.detectors.series import DAY, Key, Series, newest_minute
from streams.guard.concern import Accepted, AsOf

DAYS = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """How one alert of a day stands. ``level`` 0: it does not hold."""

    scope: dict[str, str]
    threshold: str
    level: int
    critical: bool
    report: Report


class Daily(ABC):
    """One rule, as a concern of the guard. Its series has slots of a day."""

    name: str
    rule: Rule

    def __init__(self, series: Series) -> None:
        self._series = series
        self._changed: dict[Key, int] = {}
        self._announced: dict[str, Alert] = {}
        """Open alerts of before a load. What is not found again does not hold any more: the rules
        may have changed."""

    @abstractmethod
    def new(self) -> Self:
        """The same rule without data."""

    @abstractmethod
    def findings(self, day: int, changed: Iterable[Key]) -> Iterable[Finding]:
        """How the alerts of a day stand that these keys are about."""

    def fresh(self) -> Self:
        """The same rule with nothing counted yet."""
        other = self.new()
        other._announced = dict(self._announced)
        return other

    def remember(self, alert: Alert) -> None:
        """Take note of the newest transition of an alert that was published before."""
        if alert.rule == self.rule and alert.transition != "resolved":
            self._announced[alert.alert_id] = alert

    def load(self, clickhouse: ClickHouse, at: AsOf, now: datetime) -> None:
        """Count the newest days of the ledger, as of the position."""
        self._touch(self._series.load(clickhouse, at, newest_minute(clickhouse, at, now)))

    def apply(self, entry: Accepted) -> None:
        """Count an entry's rows."""
        self._touch(self._series.add_rows(entry.rows))

    def alerts(self, at: AsOf, now: datetime) -> Sequence[Alert]:
        """Opened or resolved for what has changed today and yesterday."""
        changed, self._changed = self._changed, {}
        today = self._series.slot_of(now)
        found = [
            self._alert(finding, day, at, now)
            for day in range(today - DAYS + 1, today + 1)
            for finding in self.findings(
                day, [key for key, first in changed.items() if first <= day]
            )
        ]
        return found + self._given_up(found, today, at, now)

    def counters(self) -> Mapping[str, int]:
        """The sums of the days that are kept, which follow from the rows."""
        return {f"{self.name} {name}": count for name, count in self._series.counters().items()}

    def _touch(self, changed: Mapping[Key, int]) -> None:
        for key, day in changed.items():
            self._changed[key] = min(self._changed.get(key, day), day)

    def _given_up(self, found: Sequence[Alert], today: int, at: AsOf, now: datetime) -> list[Alert]:
        """The announced alerts of these days that nothing was found of."""
        announced, self._announced = self._announced, {}
        judged = {alert.alert_id for alert in found}
        days = {self._period(day) for day in range(today - DAYS + 1, today + 1)}
        return [
            alert.model_copy(
                update={
                    "transition": "resolved",
                    "severity": "info",
                    "title": f"No longer so: {alert.title}"[:150],
                    "action": NOTHING_TO_DO,
                    "at": now,
                    "journal": at.journal,
                    "position": at.position,
                }
            )
            for alert_id, alert in announced.items()
            if alert_id not in judged and alert.period in days
        ]

    def _period(self, day: int) -> str:
        return f"{self._series.start_of(day):%Y-%m-%d}"

    def _alert(self, finding: Finding, day: int, at: AsOf, now: datetime) -> Alert:
        report, holds = finding.report, finding.level > 0
        start = self._series.start_of(day)
        return Alert(
            rule=self.rule,
            scope=finding.scope or ORGANISATION,
            period=self._period(day),
            threshold=finding.threshold,
            transition="opened" if holds else "resolved",
            level=max(1, finding.level),
            severity="info" if not holds else "critical" if finding.critical else "warning",
            title=report.title[:150],
            detail=report.detail,
            action=report.action if holds else NOTHING_TO_DO,
            value=report.value,
            limit=report.limit,
            unit=report.unit,
            since=start,
            until=start + DAY,
            at=now,
            contributors=report.contributors,
            journal=at.journal,
            position=at.position,
        )
