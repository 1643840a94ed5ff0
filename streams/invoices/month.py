"""A month of an invoice and of the ledger, from the database."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schemas.journal import TRUE_UP
from sinks.clickhouse import ClickHouse
from streams.guard.money import pico
from streams.invoices.cells import Cell, Ours, Theirs
from streams.invoices.line import CACHE_READ, CACHE_WRITE, CLASSES, INPUT, OUTPUT

_BUCKETS = {
    INPUT: ("input_tokens", "input_audio_tokens", "input_image_tokens"),
    CACHE_READ: ("cache_read_tokens", "cache_read_audio_tokens", "cache_read_image_tokens"),
    CACHE_WRITE: ("cache_write_5m_tokens", "cache_write_1h_tokens"),
    OUTPUT: ("output_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens"),
}
BUCKET_OF = {
    INPUT: "input_tokens",
    CACHE_READ: "cache_read_tokens",
    CACHE_WRITE: "cache_write_5m_tokens",
    OUTPUT: "output_tokens",
}
"""Kind of tokens → the bucket whose price stands for it."""
_LINES = """
    SELECT day, last_day, ifNull(model, '') AS of_model, charge, ifNull(token_class, '') AS kind,
           sum(usd), sum(l.tokens), countIf(l.tokens IS NULL), count()
    FROM invoice_lines AS l
    WHERE provider = {provider:String} AND day BETWEEN {first:Date} AND {last:Date}
    GROUP BY day, last_day, of_model, charge, kind
"""
_ZONES = """
    SELECT DISTINCT zone FROM invoice_lines
    WHERE provider = {provider:String} AND day BETWEEN {first:Date} AND {last:Date}
"""
_SUMS = ", ".join(f"sum({' + '.join(names)})" for names in _BUCKETS.values())
_METERED = f"""
    SELECT toDate(minute, {{zone:String}}) AS at, model, rating = 'priced' AS is_priced, sum(cost),
           {_SUMS}
    FROM spend
    WHERE provider = {{provider:String}} AND kind != '{TRUE_UP}'
      AND minute >= toDateTime({{begin:Int64}}, 'UTC') AND minute < toDateTime({{end:Int64}}, 'UTC')
    GROUP BY at, model, is_priced
"""
_TRUED_UP = f"""
    SELECT toDate(minute, 'UTC') AS at, model, sum(cost) FROM spend
    WHERE provider = {{provider:String}} AND kind = '{TRUE_UP}'
      AND minute >= toDateTime({{begin:Int64}}, 'UTC') AND minute < toDateTime({{end:Int64}}, 'UTC')
    GROUP BY at, model
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Days that are compared, both included, of one provider."""

    provider: str
    first: date
    last: date

    @classmethod
    def month(cls, provider: str, first: date) -> Span:
        """All of the month that begins on this day."""
        return cls(provider, first, first.replace(day=monthrange(first.year, first.month)[1]))

    def bounds(self, zone: str) -> dict[str, object]:
        """The span in this zone as parameters: seconds since 1970, the end not included."""
        begin = datetime.combine(self.first, time(), ZoneInfo(zone))
        end = datetime.combine(self.last + timedelta(days=1), time(), ZoneInfo(zone))
        return {
            "provider": self.provider,
            "zone": zone,
            "begin": int(begin.timestamp()),
            "end": int(end.timestamp()),
        }


@dataclass(frozen=True, slots=True)
class Billed:
    """An invoice: its cells, days from ``first`` to ``last``, and the zones that it says.

    ``monthly``: it has usage over more days than one, so that days cannot be told apart.
    """

    cells: dict[Cell, Theirs]
    first: date
    last: date
    zones: tuple[str, ...]
    lines: int
    monthly: bool


class Month:
    """Asks the database about a provider's month. All raise ClickHouseError."""

    def __init__(self, clickhouse: ClickHouse, span: Span) -> None:
        self._clickhouse = clickhouse
        self.span = span

    def billed(self) -> Billed | None:
        """What the invoice says of the month; None where there is none."""
        span = self.span
        of = {"provider": span.provider, "first": span.first, "last": span.last}
        rows = self._clickhouse.query(_LINES, of)
        if not rows:
            return None
        usage = [row for row in rows if row[3] == "usage"]
        monthly = any(day != last for day, last, *_ in usage)
        cells: dict[Cell, Theirs] = {}
        for day, _, model, charge, kind, usd, tokens, uncounted, _ in rows:
            cell = Cell(span.first if monthly else day, str(model))
            theirs = cells.setdefault(cell, Theirs())
            if charge != "usage":
                theirs.beside[charge] = theirs.beside.get(charge, 0) + pico(usd)
            elif kind not in CLASSES:
                theirs.other += pico(usd)
            else:
                theirs.usd[kind] = theirs.usd.get(kind, 0) + pico(usd)
                theirs.tokens[kind] = theirs.tokens.get(kind, 0) + int(tokens or 0)
                if uncounted:
                    theirs.uncounted.add(kind)
        of_days = usage or rows
        return Billed(
            cells,
            min(day for day, *_ in of_days),
            min(span.last, max(last for _, last, *_ in of_days)),
            tuple(sorted(str(zone) for (zone,) in self._clickhouse.query(_ZONES, of))),
            sum(int(row[-1]) for row in rows),
            monthly,
        )

    def metered(self, zone: str, span: Span, *, monthly: bool = False) -> dict[Cell, Ours]:
        """What was metered, by days of the zone, without true-ups."""
        found: dict[Cell, Ours] = {}
        for day, model, is_priced, cost, *sums in self._clickhouse.query(
            _METERED, span.bounds(zone)
        ):
            cell = Cell(self.span.first if monthly else day, str(model))
            tokens = dict(zip(CLASSES, map(int, sums), strict=True))
            found.setdefault(cell, Ours()).add(pico(cost), tokens, priced=bool(is_priced))
        return found

    def trued_up(self, span: Span, *, monthly: bool = False) -> dict[Cell, int]:
        """True-ups in the ledger, by UTC days."""
        found: dict[Cell, int] = {}
        for day, model, cost in self._clickhouse.query(_TRUED_UP, span.bounds("UTC")):
            cell = Cell(self.span.first if monthly else day, str(model))
            found[cell] = found.get(cell, 0) + pico(cost)
        return found


def noon(day: date) -> datetime:
    """Noon UTC of a day: when its prices are asked for."""
    return datetime.combine(day, time(12), UTC)


def nearest_zone(
    billed: Billed, by_zone: Sequence[tuple[str, dict[Cell, Ours]]]
) -> tuple[str, dict[Cell, Ours]]:
    """The zone in whose days the ledger is nearest to the invoice; of equal ones the first."""

    def distance(ours: dict[Cell, Ours]) -> int:
        cells = billed.cells.keys() | ours.keys()
        return sum(
            abs(billed.cells.get(cell, Theirs()).usage - ours.get(cell, Ours()).cost)
            for cell in cells
        )

    return min(by_zone, key=lambda one: distance(one[1]))
