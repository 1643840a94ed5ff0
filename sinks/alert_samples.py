"""A realistic alert of every rule, with its whole history: for previews, and to try channels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from schemas.alerts import Alert, Contributor, Rule, Severity, Transition

RULES: tuple[Rule, ...] = get_args(Rule)

_EACH = timedelta(minutes=43)  # from one transition to the next
_GROWS = Decimal("1.3")


class _Sample(BaseModel):
    """One alert; ``titles`` as it opens, escalates and is resolved."""

    model_config = ConfigDict(extra="forbid")

    titles: tuple[str, str, str]
    scope: dict[str, str]
    severity: Severity = "warning"
    period: Literal["month", "minute"] = "minute"
    review: bool = False
    value: Decimal
    limit: Decimal | None = None
    unit: str
    after: Decimal | None = None
    """The value when it is resolved; what it was before where this is left out."""
    detail: str
    detail_escalated: str | None = None
    action: str
    trend: str = ""
    contributors: tuple[Contributor, ...] = ()


def history(rule: Rule, now: datetime) -> tuple[Alert, ...]:
    """All five transitions of one alert of this rule, the newest of them at ``now``.

    Months begin at midnight in the zone of ``now``.
    """
    sample = _samples()[rule]
    opened_at = now - 4 * _EACH
    start = opened_at.replace(second=0, microsecond=0) - timedelta(minutes=2)
    until = None
    if sample.period == "month":
        start = start.replace(day=1, hour=0, minute=0)
        until = (start + timedelta(days=32)).replace(day=1).astimezone(UTC)
    opened = Alert(
        rule=rule,
        period=f"{start:%Y-%m}" if until else start.astimezone(UTC).isoformat(),
        threshold="sample",
        transition="opened",
        title=sample.titles[0],
        trend=tuple(Decimal(step) for step in sample.trend.split()),
        since=start.astimezone(UTC),
        until=until,
        at=opened_at.astimezone(UTC),
        journal="sample",
        position=0,
        **{
            name: getattr(sample, name)
            for name in ("scope", "severity", "review", "value", "limit", "unit")
        },
        detail=sample.detail,
        action=sample.action,
        contributors=sample.contributors,
    )
    worse = (sample.value * _GROWS).quantize(sample.value)
    trend = (*opened.trend, worse) if opened.trend else ()
    after = worse if sample.after is None else sample.after
    escalated: dict[str, object] = {
        "title": sample.titles[1],
        "severity": "critical",
        "value": worse,
        "trend": trend,
        "detail": sample.detail_escalated or sample.detail,
    }
    over: dict[str, object] = {
        "title": sample.titles[2],
        "severity": "info",
        "value": after,
        "trend": (),
        "detail": "",
        "action": "",
    }
    changes: list[tuple[Transition, dict[str, object]]] = [
        ("escalated", escalated | {"level": 2}),
        ("acknowledged", escalated | {"by": "maria.chan"}),
        ("resolved", over),
        ("restated", {}),
    ]
    later = (
        opened.model_copy(
            update=change
            | {"transition": transition, "number": number, "at": opened.at + _EACH * (number - 1)}
        )
        for number, (transition, change) in enumerate(changes, start=2)
    )
    return (opened, *later)


def as_test(alert: Alert, run: str) -> Alert:
    """The sample, marked as a test; ``run`` tells it from the samples of every other run."""
    return alert.model_copy(
        update={"title": f"[test] {alert.title}", "threshold": f"{alert.threshold} of test {run}"}
    )


@cache
def _samples() -> dict[Rule, _Sample]:
    text = files("sinks").joinpath("alert_samples.yaml").read_text("utf-8")
    return TypeAdapter(dict[Rule, _Sample]).validate_python(yaml.safe_load(text))
