"""Attribution: from the organisation down to a user, one level at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.figures.ask import figures
from reports.figures.figure import Figure, Table
from reports.figures.lens import Lens
from reports.figures.measures import CALLS, NOT_IN_COST, SPEND, TOKENS, USERS
from reports.figures.overview import spend_by_day, top
from sinks.clickhouse import ClickHouse

LEVELS = ("department", "team", "project", "use_case", "user")
"""The way down. Under a user there are the models that they call."""
BESIDE = ("model", "application", "environment")
"""By what else a level is broken down, once."""
ROWS = 50


@dataclass(frozen=True, slots=True)
class Attribution:
    """``level``: the dimension of ``parts``; what is above it is in the lens's scope."""

    level: str
    totals: Mapping[str, Figure]
    parts: Table
    beside: tuple[Table, ...]
    by_day: Table


def attribution(clickhouse: ClickHouse, lens: Lens) -> Attribution:
    """Raises ClickHouseError."""
    level = level_of(lens)
    return Attribution(
        level,
        figures(clickhouse, lens, [SPEND, CALLS, TOKENS, USERS, NOT_IN_COST]),
        top(clickhouse, lens, level, ROWS),
        tuple(
            top(clickhouse, lens, dimension)
            for dimension in BESIDE
            if dimension != level and len(lens.scope.get(dimension, ())) != 1
        ),
        spend_by_day(clickhouse, lens),
    )


def level_of(lens: Lens) -> str:
    """The first level below the lowest that the scope names one of."""
    below = [index + 1 for index, level in enumerate(LEVELS) if len(lens.scope.get(level, ())) == 1]
    return (*LEVELS, "model")[max(below, default=0)]
