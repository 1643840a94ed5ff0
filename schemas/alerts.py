"""Alert transitions: what the guard publishes on `llm.alerts` and the notifier delivers."""

from __future__ import annotations

import hashlib
import json
import logging
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

log = logging.getLogger(__name__)

Rule = Literal["budget", "retry_storm", "events_lost", "drift"]
Severity = Literal["info", "warning", "critical"]
Transition = Literal["opened", "escalated", "resolved"]


class Contributor(BaseModel):
    """One of the largest parts of what an alert is about."""

    model_config = ConfigDict(frozen=True)

    name: str
    cost: Decimal | None = None
    """USD; None where it is not known."""
    calls: int


class Alert(BaseModel):
    """One transition in the history of an alert.

    An alert is one (rule, scope, period, threshold); its id follows from these, so that whoever
    detects it twice, names it the same. Times are UTC; ``value`` and ``limit`` are in ``unit``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Rule
    scope: dict[str, str]
    period: str
    """`2026-11` for a calendar month; the first minute, ISO 8601, for what has no calendar."""
    threshold: str
    """What was crossed, as the rule counts it: `80` (percent of a budget), `20` (failed calls)."""
    transition: Transition
    severity: Severity
    title: Annotated[str, Field(max_length=150)]
    detail: str
    action: str
    value: Decimal | None = None
    limit: Decimal | None = None
    unit: str = "USD"
    since: AwareDatetime
    at: AwareDatetime
    contributors: tuple[Contributor, ...] = ()
    journal: str
    position: int
    """The journal entry that was the evidence."""

    @property
    def alert_id(self) -> str:
        """Identity of the alert, the same over all its transitions."""
        return alert_id(self.rule, self.scope, self.period, self.threshold)

    @property
    def transition_id(self) -> str:
        """Identity of this transition: delivered once, whoever repeats it."""
        return f"{self.alert_id}:{self.transition}"

    @property
    def scope_text(self) -> str:
        """The scope as a reader sees it: `team search, application agent`."""
        return ", ".join(f"{kind} {name}" for kind, name in self.scope.items())


def read_alert(value: bytes | None) -> Alert | None:
    """The transition in a record of the alerts topic; None, and a line in the log, for others."""
    if value is None:  # a tombstone: somebody has removed the alert from the topic
        return None
    try:
        return Alert.model_validate_json(value)
    except ValidationError as error:
        log.warning("a record on the alerts topic is no alert and is passed over: %s", error)
        return None


def alert_id(rule: str, scope: dict[str, str], period: str, threshold: str) -> str:
    """Deterministic id: 16 hex digits of SHA-256 over the four parts that make an alert."""
    # JSON, because a name may hold any separator.
    parts = json.dumps([rule, sorted(scope.items()), period, threshold])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
