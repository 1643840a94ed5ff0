"""The histories of alerts: which transition may follow which, for every reader alike.

The alerts topic has one partition, hence one order. A transition carries its number in the history
of its alert, and every reader accepts it only if that number is next and the transition is possible
there. So two guards that both believe they are active, or a person who acknowledges at the moment
of an escalation, never make two histories of one alert.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from schemas.alerts import RANK, Alert, Severity
from schemas.errors import UserError

FOLLOWS = {
    None: {"opened"},
    "opened": {"escalated", "acknowledged", "resolved"},
    "escalated": {"escalated", "acknowledged", "resolved"},
    "acknowledged": {"escalated", "resolved"},
    "resolved": {"restated"},
    "restated": {"escalated", "acknowledged", "resolved"},
}


@dataclass(slots=True)
class History:
    """What is known of one alert: its newest transition and what its earlier ones have left."""

    newest: Alert
    first: Alert
    level: int = 1
    """The highest so far."""
    acknowledged: bool = False
    worst: Severity = "info"

    @property
    def is_open(self) -> bool:
        """True until it is resolved."""
        return self.newest.transition != "resolved"

    @property
    def is_held(self) -> bool:
        """True while it is a review that nobody has acknowledged: it is not resolved then."""
        return self.is_open and self.first.review and not self.acknowledged

    def is_open_at(self, now: datetime) -> bool:
        """True while it is open and its period goes on; a review stays until it is resolved."""
        until = self.newest.until
        return self.is_open and (self.first.review or until is None or now < until)

    def accept(self, alert: Alert) -> bool:
        """Take the transition into the history, if it is the next one."""
        last = self.newest
        if alert.number != last.number + 1 or alert.transition not in FOLLOWS[last.transition]:
            return False
        self.newest = alert
        self.level = max(self.level, alert.level)
        self.worst = max(self.worst, alert.severity, key=RANK.__getitem__)
        if alert.transition == "acknowledged":
            self.acknowledged = True
        elif alert.transition in {"escalated", "restated"}:
            self.acknowledged = False
        return True

    def acknowledgement(self, by: str, at: datetime) -> Alert:
        """The transition by which somebody takes it on. Raises UserError where that says nothing.

        A review ends with it, unless what it is about still holds.
        """
        last = self.newest
        if not self.is_open:
            raise UserError(f"alert {last.alert_id} is resolved already; nothing to acknowledge")
        if self.acknowledged:
            raise UserError(f"alert {last.alert_id} was acknowledged already, by {last.by}")
        return _next(last, last, "acknowledged").model_copy(
            update={"by": by, "at": at, "quiet": False}
        )

    def following(self, state: Alert) -> Alert | None:
        """The transition that makes the history say what ``state`` says; None where it does.

        ``state`` is what a detector reports: ``opened`` (it holds) or ``resolved`` (it does not).
        """
        last = self.newest
        if state.journal == last.journal and state.position < last.position:
            # A guard that starts may have loaded a state from before the evidence, where nothing
            # was crossed yet: what it takes for the end is the time before the beginning.
            return None
        if state.transition == "resolved":
            return None if not self.is_open or self.is_held else _next(state, last, "resolved")
        if not self.is_open:
            return _next(state, last, "restated")
        return _next(state, last, "escalated") if state.level > self.level else None


def _next(state: Alert, last: Alert, transition: str) -> Alert:
    return state.model_copy(update={"transition": transition, "number": last.number + 1})


@dataclass(slots=True)
class Histories:
    """The histories of all alerts, as the topic's order makes them."""

    _known: dict[str, History] = field(default_factory=dict)

    def accept(self, alert: Alert) -> bool:
        """Whether this transition is the next of its alert, which it then is.

        The first that is known of an alert is accepted: the topic may have forgotten its elders.
        """
        known = self._known.get(alert.alert_id)
        if known is not None:
            return known.accept(alert)
        self._known[alert.alert_id] = History(
            alert, alert, alert.level, alert.transition == "acknowledged", alert.severity
        )
        return True

    def remember(self, alerts: Iterable[Alert]) -> None:
        """Accept what was published before; in the order of each history, repeats allowed."""
        for alert in alerts:
            self.accept(alert)

    def get(self, alert_id: str) -> History | None:
        """The history of this alert."""
        return self._known.get(alert_id)

    def all(self) -> Iterable[History]:
        """Every history."""
        return self._known.values()
