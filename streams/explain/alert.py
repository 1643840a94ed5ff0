"""An alert: its history, the journal entry that was the evidence, and the spend it is about."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from schemas.alerts import Alert
from schemas.errors import UserError
from sinks.amounts import amount_text
from sinks.clickhouse import ClickHouse
from streams.explain.cell import SCOPES, Cell, explain_cell, literal
from streams.explain.step import Step

_OF_BUDGETS = frozenset({"budget", "executive_review", "burn_rate", "forecast"})


def explain_alert(clickhouse: ClickHouse, alert_id: str) -> Step:
    """From the newest transition down to events. Raises UserError for an unknown id."""
    sql = f"SELECT body FROM alerts FINAL WHERE alert_id = {literal(alert_id)} ORDER BY number, at"
    history = [Alert.model_validate_json(body) for (body,) in clickhouse.query(sql)]
    if not history:
        raise UserError(
            f"no alert {alert_id!r} is on record; `spendstream alerts list --all` shows their ids"
        )
    newest = history[-1]
    evidence = next(one for one in history if one.transition != "acknowledged")
    steps = [Step("history", because=tuple(map(_transition, history)))]
    steps.append(explain_cell(clickhouse, _cell(evidence, as_of=True)))
    steps[-1] = _held_against(evidence, steps[-1])
    steps.append(explain_cell(clickhouse, _cell(evidence, as_of=False)))
    shown = f"SELECT * FROM alert_history WHERE alert_id = {literal(alert_id)} ORDER BY number"
    facts = (newest.detail, f"rule {newest.rule}, {newest.scope_text}, period {newest.period}")
    return Step(f"alert {alert_id}: {newest.title}", None, facts, shown, because=tuple(steps))


def _transition(alert: Alert) -> Step:
    facts = [f"{alert.at:%Y-%m-%d %H:%M:%S} UTC, journal entry {alert.position:,}"]
    if alert.value is not None:
        said = amount_text(alert.value, alert.unit)
        if alert.limit is not None:
            said += f" of {amount_text(alert.limit, alert.unit)}"
        facts.append(said)
    if alert.by is not None:
        facts.append(f"by {alert.by}")
    return Step(f"{alert.number}. {alert.transition}: {alert.title}", facts=tuple(facts))


def _cell(alert: Alert, *, as_of: bool) -> Cell:
    """The spend of its scope until its period ends, or the minute in which it was noticed."""
    until = alert.until or alert.at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    where = {name: (value,) for name, value in alert.scope.items() if name in SCOPES}
    position = (alert.journal, alert.position) if as_of else None
    return Cell(alert.since, until, where, position)


def _held_against(alert: Alert, cell: Step) -> Step:
    """The figure of the alert, where it is the sum of what the cell has."""
    title = f"as of journal entry {alert.position:,}, the evidence: {cell.title}"
    facts, doubt = cell.facts, None
    if alert.rule in _OF_BUDGETS and alert.unit == "USD" and alert.value is not None:
        if (cell.amount or Decimal(0)) == alert.value:
            facts += ("the figure of the alert, to the last digit",)
        else:
            doubt = (
                f"the alert said {amount_text(alert.value, alert.unit)}: its budget counts only a "
                "part of its scope, or leaves shadow calls out"
            )
    return Step(title, cell.amount, facts, cell.sql, doubt, cell.because)
