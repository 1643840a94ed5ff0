"""Alerts: each has exactly one history, and each transition has reached the receiver."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.alerts import alert_id
from sinks.clickhouse import ClickHouse
from streams.alerts.history import FOLLOWS
from tests.chaos.events import STEADY, SWING

_SQL = """
    SELECT alert_id, number, any(transition), any(rule), any(scope), any(title), any(severity),
           uniqExact(body), min(at)
    FROM alerts GROUP BY alert_id, number ORDER BY number
"""
_DELIVERED = (
    "SELECT concat(alert_id, ':', toString(number)) FROM deliveries FINAL WHERE state = 'delivered'"
)


@dataclass(frozen=True, slots=True)
class Told:
    """A transition on record. ``versions``: how many different things were said under its name."""

    alert: str
    number: int
    transition: str
    rule: str
    team: str | None
    title: str
    severity: str
    versions: int
    at: Any

    @property
    def name(self) -> str:
        """The id that its deliveries go by."""
        return f"{self.alert}:{self.number}"


def transitions(clickhouse: ClickHouse) -> list[Told]:
    """Every transition on record. Blocking."""
    return [
        Told(alert, int(no), transition, rule, dict(scope).get("team"), title, severity, int(n), at)
        for alert, no, transition, rule, scope, title, severity, n, at in clickhouse.query(_SQL)
    ]


def delivered(clickhouse: ClickHouse) -> set[str]:
    """Transitions that are on record as delivered. Blocking."""
    return {str(transition) for (transition,) in clickhouse.query(_DELIVERED)}


def due(
    spent: Mapping[tuple[str, str], int], limit: Decimal, thresholds: Iterable[int]
) -> dict[str, str]:
    """Alerts of the steady teams that must have been opened: id, and what it is."""
    pico = int(limit.scaleb(12))
    return {
        alert_id(
            "budget", {"team": team, "budget": team}, month, str(percent)
        ): f"{team} {month} {percent} %"
        for (team, month), cost in spent.items()
        if team in STEADY
        for percent in thresholds
        if cost * 100 >= pico * percent
    }


def missing(
    told: Sequence[Told],
    wanted: Mapping[str, str],
    taken: Mapping[str, int],
    recorded: Collection[str],
) -> set[str]:
    """What has not come yet: alerts, their deliveries (``taken``), and the records of these."""
    opened = {t.alert for t in told if t.transition == "opened"}
    names = [(t.name, t.title) for t in told]
    return {
        *(f"not opened: {what}" for alert, what in wanted.items() if alert not in opened),
        *(f"not delivered: {title}" for name, title in names if name not in taken),
        *(f"not recorded as delivered: {title}" for name, title in names if name not in recorded),
    }


def faults(
    told: Sequence[Told], wanted: Mapping[str, str], taken: Mapping[str, int], losses: int
) -> list[str]:
    """What is wrong with the histories. ``losses``: how many alerts on lost events are due."""
    names = {t.name for t in told}
    before: dict[str, Told] = {}
    wrong = [f"{t.title}: told in {t.versions} ways" for t in told if t.versions > 1]
    for t in told:
        if t.rule == "budget" and t.team in STEADY:
            if t.alert not in wanted or t.transition != "opened":
                wrong.append(f"{t.title}: {t.transition}, which it must not be")
        elif t.rule == "budget" and t.team == SWING:
            last = before.get(t.alert)
            if t.number != (1 if last is None else last.number + 1):
                wrong.append(f"{t.title}: {t.transition} is number {t.number} of its history")
            elif t.transition not in FOLLOWS[None if last is None else last.transition]:
                wrong.append(f"{t.title}: {t.transition} follows {last and last.transition}")
            elif last is not None and t.at < last.at:
                wrong.append(f"{t.title}: {t.transition} before it was {last.transition}")
            before[t.alert] = t
        elif t.rule != "events_lost" or t.severity != "critical":
            wrong.append(f"an alert nobody expected: {t.title} ({t.transition})")
    found = sum(t.rule == "events_lost" for t in told)
    if found != losses:
        wrong.append(f"{found} alerts on events lost to retention; {losses} would be right")
    wrong += [f"{name} was delivered, and is on no record" for name in taken if name not in names]
    return wrong
