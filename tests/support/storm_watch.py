"""Storms and outages in tests: rows of attempts, and the histories that the reports make."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from schemas.alerts import Alert
from streams.alerts.history import Histories
from streams.detectors.attempts import attempts_of
from streams.detectors.repeats import Repeats
from streams.detectors.storm_rule import StormRule
from streams.detectors.storms import Storms
from streams.guard.concern import Accepted, AsOf
from tests.support.ledger_rows import JOURNAL, NOON, accepted_entry, journal_row

RULE = StormRule(window_minutes=2, min_calls=20, share_percent=50, quiet_seconds=120)


def minute(number: float) -> datetime:
    """A number of minutes after noon."""
    return NOON + timedelta(minutes=number)


def failed(calls: int, at: int = 0, **changes: Any) -> dict[str, Any]:
    """Attempts of the application `bot` of team search that were turned away."""
    fields = {"status": "rate_limited", "error_code": "429", "application": "bot"}
    return journal_row(calls=calls, minute=minute(at), **(fields | changes))


def good(calls: int, at: int = 0, **changes: Any) -> dict[str, Any]:
    """Attempts of the same application that worked."""
    return failed(calls, at, **({"status": "ok", "error_code": None} | changes))


class Watch:
    """One guard's storms, and what they make of the alerts' histories."""

    def __init__(self, rule: StormRule = RULE, published: Iterable[Alert] = ()) -> None:
        self.storms = Storms(rule)
        self.published = list(published)
        """Every transition so far, in order."""
        self._histories = Histories()
        self._histories.remember(self.published)
        for history in self._histories.all():
            self.storms.remember(history.newest)
        self._position = max((alert.position for alert in self.published), default=-1)

    def entry(self, *rows: dict[str, Any], now: datetime | None = None) -> list[Alert]:
        """The transitions that an entry with these rows makes."""
        self._position += 1
        return self.take(accepted_entry(self._position, *rows, now=now))

    def take(self, entry: Accepted) -> list[Alert]:
        """The transitions that this entry makes."""
        self.storms.apply(entry)
        return self._publish(entry.at, entry.now)

    def observe(self, *repeats: Repeats, now: datetime) -> list[Alert]:
        """The transitions that these repeats make."""
        self.storms.observe(repeats, now)
        return self.tick(now)

    def tick(self, now: datetime) -> list[Alert]:
        """The transitions that time alone makes."""
        return self._publish(AsOf(JOURNAL, max(0, self._position)), now)

    def restarted(self, *rows: dict[str, Any], now: datetime) -> Watch:
        """Another guard after this one, which has these rows from the ledger."""
        other = Watch(RULE, self.published)
        other._position = self._position
        entry = accepted_entry(max(0, self._position), *rows, now=now)
        other.storms.take_up(attempts_of(entry.rows), now)
        return other

    def _publish(self, at: AsOf, now: datetime) -> list[Alert]:
        made = []
        for state in self.storms.alerts(at, now):
            known = self._histories.get(state.alert_id)
            alert = state if known is None else known.following(state)
            if alert is None or (known is None and state.transition != "opened"):
                continue
            assert self._histories.accept(alert)
            self.published.append(alert)
            made.append(alert)
        return made


def told(alerts: Iterable[Alert]) -> list[tuple[str, str]]:
    """Rule and transition of each."""
    return [(alert.rule, alert.transition) for alert in alerts]
