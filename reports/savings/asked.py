"""The queries of a report: what they ask of, whose calls, and the reader's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reports.figures.query import Query
from reports.routing.figures import Span
from reports.savings.model import Terms

_WHOSE = "team = {team:String}"
_SEEN = (
    "(ifNull(department IN {departments:Array(String)}, false) OR team IN {teams:Array(String)})"
)
_CALLS = (
    "call_savings(first = {first:Date}, last = {last:Date}, "
    "answer_seconds = {answer_seconds:UInt32}, prefix_seconds = {prefix_seconds:UInt32}, "
    "least_prefix_tokens = {least_prefix_tokens:UInt32}, hopeful = {hopeful:Bool})"
)
_GROWTH = (
    "workflow_growth(first = {first:Date}, last = {last:Date}, first_calls = {first_calls:UInt32})"
)
# Of a month of many calls, sorting and grouping go to disk before they fill the memory.
_SPILL = (
    "SETTINGS max_bytes_before_external_sort = 2000000000, "
    "max_bytes_before_external_group_by = 2000000000"
)
_DAYS = "day >= {first:Date} AND day <= {last:Date}"


@dataclass(frozen=True, slots=True)
class Asked:
    """The queries of a span, under the reader's terms."""

    span: Span
    terms: Terms

    def both(self, amount: str) -> Query:
        """A sum over all calls in both cases."""
        return self.query(
            f"SELECT (SELECT {amount} FROM {{cautious}} WHERE {{scope}}) AS low, "
            f"(SELECT {amount} FROM {{eager}} WHERE {{scope}}) AS high"
        )

    def query(self, sql: str, **more: Any) -> Query:
        """A query of `{calls}`, `{growth}` or what has the days `{days}`, of the viewer's
        `{scope}`; and with further values."""
        span, terms = self.span, self.terms
        parts = [] if span.team is None else [_WHOSE]
        parts += [] if span.viewer.sees_all else [_SEEN]
        places = {
            "calls": _CALLS,
            "cautious": _CALLS.replace("{hopeful:Bool}", "false"),
            "eager": _CALLS.replace("{hopeful:Bool}", "true"),
            "growth": _GROWTH,
            "days": _DAYS,
            "scope": " AND ".join(parts) or "true",
            "spill": _SPILL,
        }
        for name, text in places.items():
            sql = sql.replace(f"{{{name}}}", text)
        parameters = {
            "first": span.first,
            "last": span.last,
            "team": span.team,
            "departments": list(span.viewer.departments or ()),
            "teams": list(span.viewer.teams or ()),
            "answer_seconds": int(terms.answer_window.total_seconds()),
            "prefix_seconds": int(terms.prefix_lifetime.total_seconds()),
            "least_prefix_tokens": terms.least_prefix_tokens,
            "first_calls": terms.first_calls,
        }
        return Query(sql, parameters | more)
