"""What repricing would change: calls whose cost or rating is not what today's price book says.

A call that costs the same by another list keeps its reference: that list did say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sinks.clickhouse import ClickHouse
from streams.rating.pricebook import PriceBook
from streams.repricing.pending import Pending, pending_by_model
from streams.repricing.prices import record_prices
from streams.repricing.rated_sql import NEEDED, rated
from streams.repricing.scope import Scope, Upto, chunks, events_of, keys_of

CHANGED = "(rating != new_rating OR ifNull(cost_pico, 0) != ifNull(new_cost_pico, 0))"

_COLUMNS = ", ".join((*NEEDED, "team", "cost_pico", "rating", "price_ref"))


@dataclass(frozen=True, slots=True, order=True)
class What:
    """Calls that change alike; a reference is empty where there is no price."""

    team: str
    provider: str
    model: str
    old_ref: str
    new_ref: str


@dataclass(frozen=True, slots=True)
class Change:
    """How much: costs in pico-dollars, of what is priced."""

    calls: int = 0
    old_cost: int = 0
    new_cost: int = 0
    newly_priced: int = 0
    no_longer_priced: int = 0

    def __add__(self, other: Change) -> Change:
        return Change(
            self.calls + other.calls,
            self.old_cost + other.old_cost,
            self.new_cost + other.new_cost,
            self.newly_priced + other.newly_priced,
            self.no_longer_priced + other.no_longer_priced,
        )

    @property
    def difference(self) -> int:
        """New less old, pico-dollars."""
        return self.new_cost - self.old_cost


@dataclass(slots=True)
class Preview:
    """``changes``: of the archive. ``pending``: team, provider, model → what the ledger has yet to
    follow, where a run was cut off. ``calls``: that were looked at; ``differing``: places in which
    archive and ledger differ in more than prices, which is not repricing's to correct."""

    calls: int = 0
    changes: dict[What, Change] = field(default_factory=dict)
    pending: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    differing: int = 0

    @property
    def total(self) -> Change:
        """All changes together."""
        return sum(self.changes.values(), Change())

    @property
    def empty(self) -> bool:
        """True where there is nothing to do."""
        return not self.changes and not self.pending

    def add(self, pending: Pending) -> None:
        """Count what one part of the time has left to do."""
        self.pending.update(pending.costs)
        self.differing += pending.differing


def preview(
    clickhouse: ClickHouse,
    book: PriceBook,
    scope: Scope,
    advanced: Callable[[Scope], None] = lambda _: None,
) -> Preview:
    """Rate what is archived, and compare. Records the prices, changes nothing else.

    ``advanced`` is told each part of the time that is done. Raises ClickHouseError.
    """
    record_prices(clickhouse, book, keys_of(clickhouse, scope))
    upto = Upto.now(clickhouse)
    found = Preview()
    for part in chunks(clickhouse, scope):
        values = {**part.parameters, **upto.parameters, "book": book.version}
        for changed, *names, calls, old, new, gained, lost in clickhouse.query(
            _changes(part), values
        ):
            found.calls += calls
            if changed:
                what = What(*names)
                change = Change(calls, int(old), int(new), gained, lost)
                found.changes[what] = found.changes.get(what, Change()) + change
        found.add(pending_by_model(clickhouse, part, upto))
        advanced(part)
    return found


def _changes(scope: Scope) -> str:
    return f"""
    SELECT {CHANGED} AS changed, team, provider, model,
           if(changed, ifNull(price_ref, ''), '') AS old_ref,
           if(changed, ifNull(new_price_ref, ''), '') AS new_ref,
           sum(sign), sum(toInt128(ifNull(cost_pico, 0))), sum(toInt128(ifNull(new_cost_pico, 0))),
           sumIf(sign, new_rating = 'priced' AND rating != 'priced'),
           sumIf(sign, new_rating != 'priced' AND rating = 'priced')
    FROM (SELECT *, if(kind = 'void', -1, 1) AS sign FROM ({rated(events_of(scope, _COLUMNS))}))
    GROUP BY changed, team, provider, model, old_ref, new_ref
    """
