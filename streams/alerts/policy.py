"""Who is told of an alert, and when: routes, quiet hours, digests, cooldown, reminders. Pure.

``worst`` is the worst severity of the alert's history so far: the end of a critical alert, itself
no more than information, goes where its beginning went.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schemas.alerts import RANK, Alert, Rule, Severity


@dataclass(frozen=True, slots=True)
class Route:
    """Channels for the alerts that it matches. What it does not name it does not ask for."""

    to: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    scope: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Dimension and the values of which the alert's scope must have one."""
    severity: Severity = "info"
    """At least."""

    def matches(self, alert: Alert, worst: Severity) -> bool:
        """Whether the alert goes this way."""
        return (
            RANK[worst] >= RANK[self.severity]
            and (not self.rules or alert.rule in self.rules)
            and all(alert.scope.get(name) in values for name, values in self.scope)
        )


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end`` by the clock of ``zone``, over midnight where start is later."""

    start: time
    end: time
    zone: str = "UTC"
    weekends: bool = False
    """All of Saturday and Sunday too."""
    unless: Severity = "critical"
    """What is at least so bad is told at once."""

    def end_after(self, moment: datetime) -> datetime | None:
        """When the quiet that ``moment`` lies in is over (UTC); None where it is not quiet."""
        zone = ZoneInfo(self.zone)
        until = moment
        # A night leads into a weekend, and that into another night: at most a few steps.
        while (step := self._end(until.astimezone(zone), zone)) is not None:
            until = step
        return until if until > moment else None

    def _end(self, local: datetime, zone: ZoneInfo) -> datetime | None:
        today, clock = local.date(), local.time()
        if self.weekends and today.weekday() >= 5:
            monday = today + timedelta(days=7 - today.weekday())
            return datetime.combine(monday, time(), zone).astimezone(UTC)
        inside = self.start <= clock < self.end
        if self.start > self.end:
            inside = clock >= self.start or clock < self.end
        if not inside:
            return None
        day = today if clock < self.end else today + timedelta(days=1)
        end = datetime.combine(day, self.end, zone).astimezone(UTC)
        # Where the clock is put back, the hour may come twice: it is over once.
        return end if end > local.astimezone(UTC) else None


@dataclass(frozen=True, slots=True)
class Digest:
    """What is at most so bad is collected, and told every ``every``."""

    every: timedelta
    severity: Severity = "info"


@dataclass(frozen=True, slots=True)
class Renotify:
    """What is open, at least so bad and acknowledged by nobody, is told again every ``every``."""

    every: timedelta
    severity: Severity = "critical"


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that is asked before somebody is told. Empty: everybody, everything, at once."""

    routes: tuple[Route, ...] = ()
    quiet_hours: QuietHours | None = None
    digest: Digest | None = None
    renotify: Renotify | None = Renotify(timedelta(days=1))
    cooldown: timedelta = timedelta(0)
    """After a channel was told of a rule and scope, what follows waits so long, unless it is worse
    or the end of what it was told."""

    def channels_of(self, alert: Alert, worst: Severity, known: tuple[str, ...]) -> tuple[str, ...]:
        """The channels that are told, in the order of ``known``; all where nothing is routed."""
        if not self.routes and not alert.channels:
            return known
        named = {name for route in self.routes if route.matches(alert, worst) for name in route.to}
        named |= set(alert.channels)
        return tuple(name for name in known if name in named)

    def due(
        self,
        alert: Alert,
        worst: Severity,
        now: datetime,
        told: tuple[datetime, Severity] | None = None,
    ) -> tuple[datetime, bool]:
        """When to tell a channel, and whether in a digest. ``told``: when, and how bad, it was last
        told of the same rule and scope."""
        due, digest = now, False
        if self.digest and RANK[worst] <= RANK[self.digest.severity]:
            every = int(self.digest.every.total_seconds())
            due = datetime.fromtimestamp((int(now.timestamp()) // every + 1) * every, UTC)
            digest = True
        elif told is not None and alert.transition in {"opened", "escalated", "restated"}:
            at, severity = told
            if RANK[worst] <= RANK[severity]:
                due = max(now, at + self.cooldown)
        if self.quiet_hours and RANK[worst] < RANK[self.quiet_hours.unless]:
            due = self.quiet_hours.end_after(due) or due
        return due, digest

    def reminders(self, alert: Alert, worst: Severity, now: datetime) -> int:
        """How many times an open alert should have been told again since its newest transition."""
        if self.renotify is None or RANK[worst] < RANK[self.renotify.severity]:
            return 0
        return max(0, (now - alert.at) // self.renotify.every)
