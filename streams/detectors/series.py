"""Sums per key and slot of event time: the one structure that the detectors share.

What is kept follows from the rows alone: the last ``keep`` slots before the newest minute that any
row had. So a series that was carried on from the journal equals one that is loaded as of the same
position, to the last slot.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import add, mul
from typing import Any, Literal

import polars as pl

from schemas.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from sinks.clickhouse import ClickHouse
from streams.guard import few_rows
from streams.guard.concern import AsOf
from streams.guard.money import pico

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

Key = tuple[str | bool | None, ...]
"""Values of the dimensions."""
Sums = tuple[int, ...]
"""One for each measure, in the order of the measures; cost in pico-dollars."""

_COLUMNS: dict[str, Sequence[str]] = {
    "calls": ("calls",),
    "input_tokens": INPUT_BUCKETS,
    "output_tokens": OUTPUT_BUCKETS,
}
"""What is added up, of calls that are no copies."""
_MEASURES = {
    name: (pl.sum_horizontal(*columns), " + ".join(columns)) for name, columns in _COLUMNS.items()
}
"""The same for Polars and for ClickHouse."""
_OWN = ~pl.col("is_shadow").fill_null(value=False)
Shadows = Literal["cost", "all", "none"]
"""What of a shadow call counts. It is nobody's call, but it is paid for: its cost alone."""


class Series:
    """Counts ``measures`` (calls, cost, input_tokens, output_tokens) by ``dimensions``.

    A void takes back what it voids. A cost that is not known adds nothing. ``under`` says what a
    key is counted under, None for not at all.

    Tokens are those of all buckets of their side. Slots are numbered from 1970, UTC.
    """

    def __init__(
        self,
        dimensions: Sequence[str],
        measures: Sequence[str],
        width: timedelta,
        keep: int,
        *,
        under: Callable[[Key], Key | None] | None = None,
        shadows: Shadows = "cost",
    ) -> None:
        self.dimensions = tuple(dimensions)
        self.measures = tuple(measures)
        self._seconds = int(width.total_seconds())
        self._keep = keep
        self._under = under
        self._shadows = shadows
        self._slots: dict[int, dict[Key, Sums]] = {}
        self._newest: int | None = None
        self._nothing: Sums = (0,) * len(self.measures)

    def slot_of(self, moment: datetime) -> int:
        """The slot that a moment is in."""
        return int(moment.timestamp()) // self._seconds

    def start_of(self, slot: int) -> datetime:
        """When a slot begins, UTC."""
        return datetime.fromtimestamp(slot * self._seconds, UTC)

    def add_rows(self, rows: pl.DataFrame) -> dict[Key, int]:
        """Count rows of the journal. The keys that they changed, each with its first such slot."""
        if rows.is_empty():
            return {}
        if rows.height <= few_rows.FEW:
            return self._add(self._each_row(rows))
        slot = pl.col("minute").dt.epoch("s") // self._seconds
        self._advance(int(rows.select(slot.max()).item()))
        some = rows.filter(_OWN) if self._shadows == "none" else rows
        called = pl.lit(True) if self._shadows == "all" else _OWN
        sums = [
            pl.col("cost").to_physical().sum()  # the integers that it is made of: pico-dollars
            if name == "cost"
            else _MEASURES[name][0].filter(called).sum().alias(name)
            for name in self.measures
        ]
        grouped = some.filter(slot > self._horizon).group_by(slot.alias("slot"), *self.dimensions)
        return self._add(grouped.agg(sums).iter_rows())

    def _each_row(self, rows: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
        """Slot, key and sums of each row that counts."""
        slots = [self.slot_of(minute) for minute in rows["minute"].to_list()]
        self._advance(max(slots))
        own = [not is_shadow for is_shadow in rows["is_shadow"].to_list()]
        called = [True] * len(own) if self._shadows == "all" else own
        sums = [
            rows["cost"].to_list()
            if name == "cost"
            else map(mul, few_rows.sums(rows, _COLUMNS[name]), called)
            for name in self.measures
        ]
        keys = (rows[name].to_list() for name in self.dimensions)
        return (
            row
            for row, is_own in zip(zip(slots, *keys, *sums, strict=True), own, strict=True)
            if row[0] > self._horizon and (is_own or self._shadows != "none")
        )

    def load(self, clickhouse: ClickHouse, at: AsOf, newest: datetime | None) -> dict[Key, int]:
        """Count the ledger as of a position, of which ``newest`` is the newest minute."""
        if newest is None:
            return {}
        self._advance(self.slot_of(newest))
        own = "NOT is_shadow"
        called = "true" if self._shadows == "all" else own
        sums = [
            "sum(cost)" if name == "cost" else f"sumIf({_MEASURES[name][1]}, {called})"
            for name in self.measures
        ]
        # Qualified and quoted: `user` is a function of ClickHouse too.
        keys = [f"spend.`{name}`" for name in self.dimensions]
        slot = f"intDiv(toUnixTimestamp(minute), {self._seconds})"
        rows = clickhouse.query(
            f"SELECT {', '.join([slot, *keys, *sums])} FROM spend WHERE {AsOf.SQL} "
            f"{f'AND {own} ' if self._shadows == 'none' else ''}"
            "AND minute >= toDateTime({first:Int64}, 'UTC') "
            f"GROUP BY {', '.join([slot, *keys])}",
            {**at.parameters, "first": (self._horizon + 1) * self._seconds},
        )
        return self._add(rows)

    def total(self, key: Key, first: int, last: int) -> Sums:
        """The sums of a key over the slots ``first`` to ``last``, both included."""
        parts = self.each(key, first, last)
        return tuple(map(sum, zip(*parts, strict=True))) if parts else self._nothing

    def each(self, key: Key, first: int, last: int) -> list[Sums]:
        """The sums of a key in each of these slots that it was counted in, oldest first."""
        found = map(self._slots.get, range(first, last + 1))
        return [keys[key] for keys in found if keys and key in keys]

    def sliding(self, key: Key, slots: range, span: int) -> Iterator[tuple[int, Sums]]:
        """For each of the slots, the total of the ``span`` slots that end with it."""
        window = self.total(key, slots.start - span + 1, slots.start)
        for slot in slots:
            if slot != slots.start:
                come = self.at(slot).get(key, self._nothing)
                gone = self.at(slot - span).get(key, self._nothing)
                if come is not gone:
                    window = tuple(w + c - g for w, c, g in zip(window, come, gone, strict=True))
            yield slot, window

    def at(self, slot: int) -> Mapping[Key, Sums]:
        """All sums of one slot."""
        return self._slots.get(slot, {})

    def keys(self, first: int, last: int) -> set[Key]:
        """The keys that were counted in the slots ``first`` to ``last``."""
        return {key for slot in range(first, last + 1) for key in self.at(slot)}

    def first_slot(self, key: Key | None = None) -> int | None:
        """The oldest slot that is kept of a key, or of all."""
        if self._newest is not None:
            for slot in range(self._horizon + 1, self._newest + 1):
                if (keys := self._slots.get(slot)) and (key is None or key in keys):
                    return slot
        return None

    def counters(self) -> dict[str, int]:
        """Every measure by key over the time that is kept, and by slot over all keys."""
        found: Counter[tuple[str, str]] = Counter()
        for slot, keys in self._slots.items():
            moment = f"{self.start_of(slot):%Y-%m-%d %H:%M}"
            for key, sums in keys.items():
                text = "/".join("" if part is None else str(part) for part in key)
                for measure, number in zip(self.measures, sums, strict=True):
                    found[moment, measure] += number
                    found[text, measure] += number
        return {f"{what} {measure}": number for (what, measure), number in found.items()}

    def __len__(self) -> int:
        """How many counters there are: keys in slots."""
        return sum(map(len, self._slots.values()))

    @property
    def _horizon(self) -> int:
        """The newest slot that is forgotten."""
        return 0 if self._newest is None else self._newest - self._keep

    def _advance(self, newest: int) -> None:
        if self._newest is None or newest > self._newest:
            self._newest = newest
            for old in [slot for slot in self._slots if slot <= self._horizon]:
                del self._slots[old]

    def _add(self, rows: Iterable[tuple[Any, ...]]) -> dict[Key, int]:
        changed: dict[Key, int] = {}
        width = 1 + len(self.dimensions)
        for row in rows:
            slot, its_key = int(row[0]), row[1:width]
            key: Key | None = its_key if self._under is None else self._under(its_key)
            if key is None:
                continue
            sums = tuple(pico(n) if isinstance(n, Decimal) else int(n or 0) for n in row[width:])
            keys = self._slots.setdefault(slot, {})
            if (known := keys.get(key)) is None:
                # A row brings its own copy of every name; one of each is enough.
                key = tuple(sys.intern(part) if isinstance(part, str) else part for part in key)
                keys[key] = sums
            else:
                keys[key] = tuple(map(add, known, sums))
            changed[key] = min(changed.get(key, slot), slot)
        return changed


def newest_minute(clickhouse: ClickHouse, at: AsOf, now: datetime) -> datetime | None:
    """The newest minute of the ledger as of a position, UTC; None where it is empty.

    Looks at the last hours before ``now`` first, so that not all of the ledger is read for it.
    """
    for back in (3 * HOUR, 40 * DAY, None):
        since = 0 if back is None else max(0, int((now - back).timestamp()))
        ((newest, rows),) = clickhouse.query(
            f"SELECT toUnixTimestamp(max(minute)), count() FROM spend WHERE {AsOf.SQL} "
            "AND minute >= toDateTime({since:Int64}, 'UTC')",
            {**at.parameters, "since": since},
        )
        if rows:
            return datetime.fromtimestamp(int(newest), UTC)
    return None
