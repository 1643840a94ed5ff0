"""What a page can be narrowed by: periods, names that occur, currencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.figures.lens import Lens
from reports.figures.period import presets
from reports.page.asked import NONE, Asked
from sinks.clickhouse import ClickHouse

CHOSEN_FROM = ("department", "team", "environment", "application", "provider", "model")
"""What is offered as a list. The others have too many names, and are reached by links."""
_MOST = 500
"""Names in one list."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A period by its name; ``current``: it is the one that is shown."""

    name: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A name by which the page is narrowed, and the URL without it."""

    dimension: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A list to choose one from; the first of ``chosen`` is selected."""

    dimension: str
    title: str
    names: Sequence[str]
    chosen: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """``kept``: pairs of the query that the form has no field for."""

    action: str
    first: str
    last: str
    presets: Sequence[Preset]
    chips: Sequence[Chip]
    choices: Sequence[Choice]
    kept: Sequence[tuple[str, str]]
    currencies: Sequence[str]
    currency: str
    cleared: str


def filters(
    clickhouse: ClickHouse, lens: Lens, asked: Asked, path: str, currencies: Sequence[str]
) -> Filters:
    """Names are those of the period that the viewer may see. Raises ClickHouseError."""
    names = _names(clickhouse, lens)
    choices = [
        Choice(
            dimension,
            title_of(dimension),
            sorted({*names[dimension], *filter(None, asked.scope.get(dimension, ()))}),
            next(iter(asked.scope.get(dimension, ())), None),
        )
        for dimension in CHOSEN_FROM
    ]
    kept = [
        (dimension, name or NONE)
        for dimension, scoped in asked.scope.items()
        for name in (scoped[1:] if dimension in CHOSEN_FROM else scoped)
    ]
    return Filters(
        path,
        str(lens.period.first),
        str(lens.period.last),
        [
            Preset(name, asked.during(period).url(path), period == lens.period)
            for name, period in presets(asked.today).items()
        ],
        [
            Chip(title_of(dimension), name or "none", asked.without(dimension, name).url(path))
            for dimension, scoped in asked.scope.items()
            for name in scoped
        ],
        choices,
        kept,
        currencies,
        lens.currency,
        Asked(asked.today, asked.period, {}, asked.currency).url(path),
    )


def title_of(dimension: str) -> str:
    """A dimension as a heading: `Use case`."""
    return dimension.replace("_", " ").capitalize()


def _names(clickhouse: ClickHouse, lens: Lens) -> Mapping[str, list[str]]:
    """Of each dimension that is offered, the names that occur."""
    whole = Lens(lens.period, lens.today, lens.viewer)
    columns = ", ".join(f"groupUniqArray({_MOST})({name})" for name in CHOSEN_FROM)
    query = whole.query(f"SELECT {columns} FROM spend_by_day WHERE {whole.where()}")
    (found,) = query.rows(clickhouse)
    return dict(zip(CHOSEN_FROM, map(list, found), strict=True))
