"""Which calls are repriced: days (UTC), and perhaps one model, provider or team of them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Self

from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from streams.reconciliation.figures import Bound, bounds_now
from streams.repricing.prices import Key

CHUNK_EVENTS = 500_000
"""Events that one statement rates, or those of a day where it has more."""
FILTERS = ("model", "provider", "team")
UPTO = "Array(Tuple(String, Int32, Int64))"

_KEYS = "SELECT DISTINCT provider, model, service_tier, region FROM usage_events WHERE {scope}"
_DAYS = """
    SELECT toDate(occurred_at, 'UTC') AS day, count() FROM usage_events WHERE {scope}
    GROUP BY day ORDER BY day
"""
_NAMES = """
    SELECT DISTINCT {name} FROM spend_daily
    WHERE day BETWEEN toDate({{first:String}}) AND toDate({{last:String}})
    UNION DISTINCT
    SELECT DISTINCT {name} FROM usage_events
    WHERE toDate(occurred_at, 'UTC') BETWEEN toDate({{first:String}}) AND toDate({{last:String}})
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """Calls from ``first`` to ``last``, both included; None: of any model, provider or team."""

    first: date
    last: date
    model: str | None = None
    provider: str | None = None
    team: str | None = None

    def __str__(self) -> str:
        named = [f", {name} {value}" for name, value in self._named().items()]
        return f"{self.first} to {self.last} (UTC){''.join(named)}"

    def condition(self, time: str) -> str:
        """SQL of it, for rows with a column ``time``; it takes `parameters`."""
        span = (
            f"{time} >= toDateTime({{first:String}}, 'UTC')"
            f" AND {time} < toDateTime({{end:String}}, 'UTC')"
        )
        return " AND ".join([span, *(f"{name} = {{{name}:String}}" for name in self._named())])

    @property
    def parameters(self) -> dict[str, Any]:
        """What `condition` takes."""
        end = self.last + timedelta(days=1)
        return {"first": f"{self.first} 00:00:00", "end": f"{end} 00:00:00", **self._named()}

    def _named(self) -> dict[str, str]:
        return {name: value for name in FILTERS if (value := getattr(self, name)) is not None}

    def between(self, first: date, last: date) -> Self:
        """The part of it on these days."""
        return replace(self, first=first, last=last)


@dataclass(frozen=True, slots=True)
class Upto:
    """How far archive and ledger have come: offsets per source partition, positions per journal."""

    bounds: tuple[Bound, ...]

    @classmethod
    def now(cls, clickhouse: ClickHouse) -> Self:
        """As of now. It only ever grows. Raises ClickHouseError."""
        return cls(bounds_now(clickhouse))

    @property
    def parameters(self) -> dict[str, Any]:
        """``bounds`` for the ledger's rows, ``upto`` for the archive's."""
        through: dict[tuple[str, int], int] = {}
        for bound in self.bounds:
            key = (bound.partition.source, bound.partition.partition)
            through[key] = max(through.get(key, -1), bound.through)
        return {
            "bounds": [bound.as_tuple() for bound in self.bounds],
            "upto": [(*key, offset) for key, offset in through.items()],
        }


WITHIN = f"arrayExists(b -> b.1 = source AND b.2 = partition AND offset <= b.3, {{upto:{UPTO}}})"
"""Of an archived event: that the ledger has it too."""


def events_of(scope: Scope, columns: str = "*") -> str:
    """SQL of the archived events that both copies have; takes both kinds of `parameters`."""
    return (
        f"SELECT {columns} FROM usage_events FINAL "
        f"WHERE {scope.condition('occurred_at')} AND {WITHIN}"
    )


def keys_of(clickhouse: ClickHouse, scope: Scope) -> list[Key]:
    """The keys of the price book that its events have. Raises ClickHouseError."""
    sql = _KEYS.format(scope=scope.condition("occurred_at"))
    return [
        (str(provider), str(model), tier, region)
        for provider, model, tier, region in clickhouse.query(sql, scope.parameters)
    ]


def chunks(clickhouse: ClickHouse, scope: Scope) -> Iterator[Scope]:
    """It in parts of whole days, in order, without a gap; no days without events between them are
    left out, as the ledger may have some. Raises ClickHouseError."""
    sql = _DAYS.format(scope=scope.condition("occurred_at"))
    first, size = scope.first, 0
    for day, count in clickhouse.query(sql, scope.parameters):
        if size and size + count > CHUNK_EVENTS:
            yield scope.between(first, day - timedelta(days=1))
            first, size = day, 0
        size += count
    yield scope.between(first, scope.last)


def check_names(clickhouse: ClickHouse, scope: Scope) -> None:
    """Raise UserError for a model, provider or team without calls on these days, with a close one.

    Raises ClickHouseError.
    """
    days = {"first": str(scope.first), "last": str(scope.last)}
    for name in FILTERS:
        wanted = getattr(scope, name)
        if wanted is None:
            continue
        known = [str(row[0]) for row in clickhouse.query(_NAMES.format(name=name), days)]
        if wanted not in known:
            raise UserError(
                f"--{name}: no call from {scope.first} to {scope.last} (UTC) has the {name} "
                f"{wanted!r}; {_nearest(wanted, known)}"
            )


def _nearest(wanted: str, known: Collection[str]) -> str:
    by_case = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(wanted.casefold(), by_case, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(by_case[name] for name in close)}?"
    some = sorted(known)[:5]
    return f"there are {', '.join(some)}" if some else "there are no calls at all on these days"
