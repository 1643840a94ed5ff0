"""What every detector is to the guard: it follows the ledger and can be compared with it.

A concern's state is a function of the accepted journal rows up to a position. So it can be loaded
from ClickHouse as of any position, carried on from the journal, and proved equal to a fresh load.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl

from schemas.alerts import Alert
from schemas.journal import Range
from sinks.clickhouse import ClickHouse


@dataclass(frozen=True, slots=True)
class AsOf:
    """A point in the ledger's history: everything of other journals, this one up to a position."""

    journal: str
    position: int

    SQL = "(journal != {journal:String} OR position <= {position:Int64})"

    @property
    def parameters(self) -> dict[str, object]:
        """What `SQL` is bound to."""
        return {"journal": self.journal, "position": self.position}


@dataclass(frozen=True, slots=True)
class Accepted:
    """What one journal entry adds: its accepted ranges, and the rows that count (`ROW_SCHEMA`).

    An adjustment has rows and no ranges. All rows came from one ``source``. ``now`` is the time by
    the events (UTC): the newest minute that was seen, carried on by the clock where none come.
    """

    at: AsOf
    source: str
    ranges: tuple[Range, ...]
    rows: pl.DataFrame
    now: datetime


class Concern(Protocol):
    """One thing that the guard watches. Everything runs on one thread; nothing here waits.

    Whatever ``now`` is given is time by the events, so that a day that is replayed in a minute is
    judged like the day that it was.
    """

    name: str

    def fresh(self) -> Concern:
        """The same concern with nothing counted yet."""

    def remember(self, alert: Alert) -> None:
        """Take note of the newest transition of an alert, before anything is counted: whoever names
        an episode by when it began goes on with that name."""

    def load(self, clickhouse: ClickHouse, at: AsOf, now: datetime) -> None:
        """Count everything up to ``at``. Blocking; called on an empty one, in a thread."""

    def apply(self, entry: Accepted) -> None:
        """Count one entry more."""

    def alerts(self, at: AsOf, now: datetime) -> Iterable[Alert]:
        """How the alerts stand that what changed since the last call is about.

        ``opened`` where the alert holds, with its ``level``; ``resolved`` where it does not. What
        that is in its history (a first time, an escalation, nothing new) the desk decides.
        """

    def counters(self) -> Mapping[str, int]:
        """What must equal a fresh load as of the same position: name to integer."""
