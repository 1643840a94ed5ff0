"""The report for machines: money as exact decimal text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from reports.routing.figures import EXACT
from reports.savings.model import Evidence, Part, Range, Saving, Savings

Json = dict[str, Any]


def as_document(found: Savings) -> Json:
    """One JSON object; null: not known, or not estimated."""
    return {
        "from": found.span.first.isoformat(),
        "to": found.span.last.isoformat(),
        "team": found.span.team,
        "calls": found.calls,
        "cost_usd": _usd(found.cost),
        "total": _range(found.total),
        "kinds": [_kind(one) for one in found.kinds],
    }


def _kind(one: Saving) -> Json:
    return {
        "kind": one.kind,
        "title": one.title,
        "looked_at": one.looked_at,
        "calls": one.calls,
        "cost_usd": _usd(one.cost),
        "alone": _range(one.alone),
        "of_the_total": _range(one.added),
        "evidence": [_evidence(fact) for fact in one.evidence],
        "assumptions": list(one.assumptions),
        "not_estimated": list(one.not_estimated),
        "parts": [_part(part) for part in one.parts],
        "sql": one.sql,
    }


def _evidence(fact: Evidence) -> Json:
    if isinstance(fact.value, Decimal):
        return {"name": fact.name, "usd": _usd(fact.value)}
    return {"name": fact.name, "count": fact.value}


def _part(part: Part) -> Json:
    return {
        "name": part.name,
        "calls": part.calls,
        "cost_usd": _usd(part.cost),
        "alone": _range(part.alone),
        "note": part.note,
    }


def _range(found: Range | None) -> Json | None:
    return None if found is None else {"low_usd": _usd(found.low), "high_usd": _usd(found.high)}


def _usd(amount: Decimal | None) -> str | None:
    if amount is None:
        return None
    return f"{amount.normalize(EXACT):f}" if amount else "0"
