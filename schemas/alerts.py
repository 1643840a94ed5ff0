"""Alert transitions: what the guard publishes on `llm.alerts` and the notifier delivers."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

log = logging.getLogger(__name__)

Rule = Literal[
    "budget",
    "executive_review",
    "burn_rate",
    "forecast",
    "retry_storm",
    "provider_outage",
    "runaway",
    "context_bloat",
    "anomaly",
    "access",
    "unattributed",
    "events_lost",
    "drift",
]
Severity = Literal["info", "warning", "critical"]
RANK: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}
Transition = Literal["opened", "escalated", "acknowledged", "resolved", "restated"]
"""``restated``: what was resolved holds after all, by late data, a correction or a new limit."""


class Contributor(BaseModel):
    """One of the largest parts of what an alert is about."""

    model_config = ConfigDict(frozen=True)

    name: str
    cost: Decimal | None = None
    """USD; None where it is not known."""
    calls: int
    tokens: int | None = None
    """All tokens of these calls; None where it does not matter."""


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
    number: Annotated[int, Field(ge=1)] = 1
    """Place in the alert's history: 1 is the first transition."""
    level: Annotated[int, Field(ge=1)] = 1
    """How bad it is by the rule's own steps; a transition to a higher one is an escalation."""
    severity: Severity
    title: Annotated[str, Field(max_length=150)]
    detail: str
    action: str
    value: Decimal | None = None
    limit: Decimal | None = None
    unit: str = "USD"
    since: AwareDatetime
    until: AwareDatetime | None = None
    """End of the period that it is about; from then on it is over, unless it is a ``review``."""
    at: AwareDatetime
    contributors: tuple[Contributor, ...] = ()
    trend: tuple[Decimal, ...] = ()
    """The figure over the time before, oldest first, in steps of equal length; for a chart."""
    review: bool = False
    """It stays open until somebody acknowledges it, whatever the figures say."""
    quiet: bool = False
    """For the history only: nobody is told."""
    channels: tuple[str, ...] = ()
    """Channels that the rule names for it, beside those that the routes give."""
    by: str | None = None
    """Who acknowledged it."""
    journal: str
    position: int
    """The journal entry that was the evidence."""

    @model_validator(mode="before")
    @classmethod
    def _numbered(cls, fields: Any) -> Any:
        """Transitions from before histories were numbered: they were opened, then resolved."""
        if isinstance(fields, dict) and "number" not in fields:
            return {**fields, "number": 2 if fields.get("transition") == "resolved" else 1}
        return fields

    @property
    def alert_id(self) -> str:
        """Identity of the alert, the same over all its transitions."""
        return alert_id(self.rule, self.scope, self.period, self.threshold)

    @property
    def transition_id(self) -> str:
        """Identity of this transition: delivered once, whoever repeats it."""
        return f"{self.alert_id}:{self.number}"

    @property
    def scope_text(self) -> str:
        """The scope as a reader sees it: `team search, application agent`."""
        return ", ".join(f"{kind} {name}" for kind, name in self.scope.items())


class Silence(BaseModel):
    """Nobody is told of the alerts that it matches, until it ends. Their history goes on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    silence: str
    """Its id."""
    rule: Rule | None = None
    """None: of any rule."""
    scope: dict[str, str] = {}
    """Matches where the alert's scope has all of these."""
    until: AwareDatetime
    by: str
    why: str = ""
    at: AwareDatetime

    def matches(self, alert: Alert, now: datetime) -> bool:
        """Whether the alert is not told of at ``now``."""
        return (
            now < self.until
            and self.rule in {None, alert.rule}
            and self.scope.items() <= alert.scope.items()
        )


def read_record(value: bytes | None) -> Alert | Silence | None:
    """What a record of the alerts topic holds; None, and a line in the log, for anything else."""
    if value is None:  # a tombstone: somebody has removed the alert from the topic
        return None
    try:
        fields = json.loads(value)
        kind = Silence if isinstance(fields, dict) and "silence" in fields else Alert
        return kind.model_validate_json(value)
    except (ValueError, RecursionError) as error:
        log.warning("a record on the alerts topic is no alert and is passed over: %s", error)
        return None


def alert_id(rule: str, scope: dict[str, str], period: str, threshold: str) -> str:
    """Deterministic id: 16 hex digits of SHA-256 over the four parts that make an alert."""
    # JSON, because a name may hold any separator.
    parts = json.dumps([rule, sorted(scope.items()), period, threshold])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
