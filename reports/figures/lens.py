"""What is looked at, and by whom: the conditions that every query of a figure carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from reports.figures.period import Period
from reports.figures.query import Query
from reports.viewer import EVERYBODY, Viewer
from sinks.clickhouse import ClickHouse

DIMENSIONS = (
    "department",
    "team",
    "project",
    "use_case",
    "user",
    "environment",
    "application",
    "provider",
    "model",
)
"""What a scope may name, from the widest of the organisation to what was called."""
USD = "USD"
NOBODY = ""
"""In a scope: what names none, such as calls without a project."""


@dataclass(frozen=True, slots=True)
class Lens:
    """``scope``: dimension → names of which any counts, `""` for what names none. ``today`` is the
    day, UTC, on which somebody looks. Money is shown in ``currency``."""

    period: Period
    today: date
    viewer: Viewer = EVERYBODY
    scope: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    currency: str = USD

    def during(self, period: Period) -> Lens:
        """The same at another time."""
        return replace(self, period=period)

    def of(self, dimension: str, name: str | None) -> Lens:
        """Narrowed to one name of a dimension; None: to what names none."""
        return replace(self, scope={**self.scope, dimension: (name or NOBODY,)})

    @property
    def parameters(self) -> dict[str, Any]:
        """What the conditions are bound to."""
        values: dict[str, Any] = {
            "first": self.period.first,
            "last": self.period.last,
            "month": self.period.first.replace(day=1),
            "currency": self.currency,
            "departments": list(self.viewer.departments or ()),
            "teams": list(self.viewer.teams or ()),
        }
        return values | {f"of_{name}": list(names) for name, names in self.scope.items()}

    def where(self, *more: str, time: str = "days", columns: tuple[str, ...] = DIMENSIONS) -> str:
        """The condition on rows of a view. ``time``: it has a column `day`, or (`months`) `month`,
        or (``""``) neither. ``columns``: those of `DIMENSIONS` that the view has; what the scope
        says of others is left out, so say so where it is shown. Of a department, a view without it
        gives the teams that are wholly in it."""
        parts = [_TIMES[time]] if time else []
        parts += [
            _names(dimension, names)
            for dimension, names in self.scope.items()
            if dimension in columns
        ]
        seen = self.seen()
        if "department" not in columns:
            if department := self.scope.get("department"):
                parts.append(_wholly(_names("department", department)))
            seen = _wholly(seen) if seen else ""
        return " AND ".join([*parts, *filter(None, [seen]), *more]) or "true"

    def seen(self) -> str:
        """The condition by which the viewer may see a row; empty where they may see all."""
        if self.viewer.sees_all:
            return ""
        # A row without a department is not in any of them: null must not become true.
        return (
            "(ifNull(department IN {departments:Array(String)}, false) "
            "OR team IN {teams:Array(String)})"
        )

    def query(self, sql: str, **more: Any) -> Query:
        """A query of this lens, with further values."""
        return Query(sql, {**self.parameters, **more})


def within(column: str) -> str:
    """The condition on views with a time (UTC) in place of a day."""
    return (
        f"{column} >= toDateTime({{first:Date}}, 'UTC') "
        f"AND {column} < toDateTime({{last:Date}} + 1, 'UTC')"
    )


def may_see(clickhouse: ClickHouse, lens: Lens) -> bool:
    """False where a limited viewer asks for a department or team of which nothing is theirs.

    That it does not exist and that it is somebody else's are the same. Raises ClickHouseError.
    """
    viewer = lens.viewer
    if viewer.sees_all:
        return True
    for dimension, theirs in (("department", viewer.departments), ("team", viewer.teams)):
        for name in lens.scope.get(dimension, ()):
            if name in (theirs or ()):
                continue
            one = replace(lens, scope={dimension: (name,)})
            condition = one.where(time="")
            if not one.query(f"SELECT 1 FROM spend_by_day WHERE {condition} LIMIT 1").rows(
                clickhouse
            ):
                return False
    return True


_TIMES = {
    "days": "day >= {first:Date} AND day <= {last:Date}",
    "months": "month >= {month:Date} AND month <= {last:Date}",
}


def _wholly(condition: str) -> str:
    """The teams all of whose rows meet a condition: for views by team, whose money is all of it."""
    return (
        "team IN (SELECT team FROM spend_by_day GROUP BY team "
        f"HAVING min(ifNull({condition}, false)) = true)"
    )


def _names(dimension: str, names: tuple[str, ...]) -> str:
    condition = f"{dimension} IN {{of_{dimension}:Array(String)}}"
    if NOBODY not in names or dimension in {"team", "provider", "model"}:
        return condition
    return f"({condition} OR {dimension} IS NULL)"
