"""Deals the rows of a trace to teams, users and models: the same row always to the same.

Traces carry token counts and times, but nobody's name. A row's number is hashed (BLAKE2b, keyed
with the roster's salt), and parts of the digest choose by weight. So two replays of one file agree,
and a row's assignment does not depend on the rows before it.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from streams.traffic.roster_file import ModelEntry, RosterFile, TeamEntry, read_roster_file

_DRAWS = struct.Struct(">6Q")
"""One 64-bit draw per choice: its remainder by a sum of weights is as good as unbiased."""

T = TypeVar("T")


class Assignment(NamedTuple):
    """Who made one call, and which model answered. A tuple, for it is made once per row."""

    department: str
    team: str
    user: str
    application: str
    use_case: str
    environment: str
    provider: str
    model: str


class _Weighted(Generic[T]):
    """A choice among items by whole-number weights."""

    __slots__ = ("_ends", "_items", "_total")

    def __init__(self, weights: Iterable[tuple[T, int]]) -> None:
        pairs = list(weights)
        self._items = [item for item, _ in pairs]
        self._ends = list(accumulate(weight for _, weight in pairs))
        self._total = self._ends[-1]

    def pick(self, draw: int) -> T:
        return self._items[bisect_right(self._ends, draw % self._total)]


@dataclass(frozen=True, slots=True)
class _Team:
    entry: TeamEntry
    users: tuple[str, ...]
    applications: _Weighted[str]
    use_cases: _Weighted[str]
    environments: _Weighted[str]
    models: _Weighted[ModelEntry]


class Roster:
    """The teams of one roster file, ready to be dealt rows. Never changes."""

    def __init__(self, roster: RosterFile) -> None:
        self._key = roster.salt.encode("ascii")
        self._teams = _Weighted(
            (_prepared(entry, roster.models), entry.weight) for entry in roster.teams
        )

    def assign(self, row: int) -> Assignment:
        """The assignment of row ``row`` (from 0 to 2^64 - 1) of any trace."""
        digest = blake2b(
            row.to_bytes(8, "big"), key=self._key, digest_size=_DRAWS.size, usedforsecurity=False
        ).digest()
        whose, who, where, why, stage, which = _DRAWS.unpack(digest)
        team = self._teams.pick(whose)
        model = team.models.pick(which)
        return Assignment(
            department=team.entry.department,
            team=team.entry.team,
            user=team.users[who % len(team.users)],
            application=team.applications.pick(where),
            use_case=team.use_cases.pick(why),
            environment=team.environments.pick(stage),
            provider=model.provider,
            model=model.model,
        )


def _prepared(entry: TeamEntry, shared: list[ModelEntry]) -> _Team:
    return _Team(
        entry=entry,
        users=entry.user_names(),
        applications=_Weighted(entry.applications.items()),
        use_cases=_Weighted(entry.use_cases.items()),
        environments=_Weighted(entry.environments.items()),
        models=_Weighted((model, model.weight) for model in entry.models or shared),
    )


def load_roster(path: Path | None = None) -> Roster:
    """Read a roster file; None is the shipped one. Raises UserError."""
    return Roster(read_roster_file(path))
