"""What a page is made of, before it is HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reports.figures.figure import Figure, Table


@dataclass(frozen=True, slots=True)
class Chart:
    """A Vega-Lite specification, and in words what it shows; its numbers are in ``table``, which is
    shown with it unless it stands ``below`` anyway."""

    name: str
    spec: Mapping[str, Any]
    says: str
    table: Table
    below: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """A table. ``link`` gives where the first cell of a record leads, or None."""

    table: Table
    link: Callable[[Mapping[str, Any]], str | None] | None = None
    empty: str = "Nothing in this period."


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step of the way to what is looked at; the last one has no URL."""

    text: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class AlertCard:
    """An open alert. ``since`` and ``at`` are UTC, as text."""

    alert_id: str
    title: str
    detail: str
    severity: str
    state: str
    figure: str
    whose: str
    since: str
    by: str | None
    may_acknowledge: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """What would be saved by one thing, in words: it is an estimate, and no figure of the ledger.

    ``alone``: if nothing else is done; ``added``: its part of the total.
    """

    name: str
    title: str
    alone: str
    added: str
    about: str
    evidence: Sequence[str]
    parts: Sequence[str]
    assumptions: Sequence[str]
    not_estimated: Sequence[str]
    sql: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under a heading; whatever is empty is left out."""

    heading: str
    lead: str = ""
    notes: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Rows] = ()
    alerts: Sequence[AlertCard] = ()
    estimates: Sequence[Estimate] = ()
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """A page. ``notices`` are said before anything else."""

    title: str
    sections: Sequence[Section]
    notices: Sequence[str] = ()
    crumbs: Sequence[Crumb] = ()
    links: Mapping[str, str] = field(default_factory=dict)
