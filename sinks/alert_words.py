"""What an alert says in words, in plain text: its headline, how much of what, for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.alerts import Alert, Rule, Severity
from sinks.amounts import amount_text, duration_text, is_money, limit_text, number_text, percent

MARK: dict[Severity, str] = {"info": "ℹ️", "warning": "⚠️", "critical": "🚨"}


@dataclass(frozen=True, slots=True)
class Measure:
    """How a rule's value and limit are called."""

    money: str = ""
    """Stands before a value that is money."""
    between: str = ", limit "
    """Stands between value and limit."""
    share: bool = False
    """The value is a part of the limit, with a percentage."""


_MEASURES: dict[Rule, Measure] = {
    "budget": Measure(between=" of ", share=True),
    "executive_review": Measure(between=" of ", share=True),
    "burn_rate": Measure(money="spending ", between=", allowed "),
    "forecast": Measure(money="heading for ", share=True),
    "retry_storm": Measure(money="wasted "),
    "provider_outage": Measure(money="wasted "),
    "runaway": Measure(money="spent "),
    "context_bloat": Measure(money="avoidable ", between=", norm "),
    "anomaly": Measure(between=", usual "),
    "access": Measure(between=", allowed "),
    "unattributed": Measure(),
    "events_lost": Measure(between=", allowed "),
    "drift": Measure(between=", allowed "),
}


def headline(alert: Alert) -> str:
    """What has happened, on one line, with its mark."""
    title = " ".join(alert.title.split())
    match alert.transition:
        case "opened":
            return f"{MARK[alert.severity]} {title}"
        case "escalated":
            return f"{MARK[alert.severity]} Escalated: {title}"
        case "acknowledged":
            return f"👀 Acknowledged{_by(alert)}: {title}"
        case "resolved":
            return f"✅ Resolved: {title}"
        case "restated":
            return f"{MARK[alert.severity]} Open again: {title}"


def who(alert: Alert) -> str:
    """Whose it is: `team search, application agent`."""
    return " ".join(alert.scope_text.split()) or "everyone"


def how_much(alert: Alert) -> str | None:
    """How much of what: `$41.20 of $50`, `1,270 failed calls, limit 20`; None if unknown."""
    measure, unit = _MEASURES[alert.rule], alert.unit
    before = measure.money if is_money(unit) else ""
    value = None if alert.value is None else before + amount_text(alert.value, unit)
    if alert.limit is None:
        return value
    limit = limit_text(alert.limit, unit)
    if value is None or alert.value is None:
        return f"not known{measure.between}{limit}"
    if is_money(unit):
        return f"{value}{measure.between}{limit}"
    if unit.startswith("%"):
        return f"{value}{measure.between}{number_text(alert.limit)} %"
    # The unit once: `1,270 failed calls, limit 20`, `48.2 M of 50 M tokens`.
    if measure.between == " of ":
        return f"{number_text(alert.value)}{measure.between}{limit}"
    return f"{value}{measure.between}{number_text(alert.limit)}"


def share(alert: Alert) -> str | None:
    """How much of its limit: `81 %`; None where the value is no part of the limit."""
    if not _MEASURES[alert.rule].share or alert.value is None or alert.limit is None:
        return None
    return percent(alert.value, alert.limit)


def time_left(alert: Alert, now: datetime) -> str | None:
    """`11 days left` of the period that it is about; None where it has no end, or has ended."""
    if alert.until is None or alert.until <= now:
        return None
    return f"{duration_text(alert.until - now)} left"


def lasted(alert: Alert) -> str | None:
    """`after 41 min` for what is over and had no calendar period; None for anything else."""
    if alert.transition != "resolved" or not is_episode(alert) or alert.at < alert.since:
        return None
    return f"after {duration_text(alert.at - alert.since)}"


def is_episode(alert: Alert) -> bool:
    """True where it has no calendar period: its period is when it began."""
    return "T" in alert.period


def _by(alert: Alert) -> str:
    name = " ".join((alert.by or "").split())[:60]
    return f" by {name}" if name else ""
