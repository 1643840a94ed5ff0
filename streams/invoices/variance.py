"""The comparison of a month: figures of both sides, and why they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from streams.invoices.attribution import CAUSES, BookRates, Parts, Sides, attribute
from streams.invoices.cells import Cell, Ours, Theirs
from streams.invoices.line import CLASSES
from streams.invoices.month import BUCKET_OF, Billed, Month, Span, nearest_zone, noon
from streams.rating.pricebook import PriceBook

UTC = "UTC"
_PICO_PER_TOKEN = 1_000_000
"""Of a USD for a million tokens."""
_MONTHS = """
    SELECT DISTINCT formatDateTime(day, '%Y-%m') AS month FROM invoice_lines
    WHERE provider = {provider:String} ORDER BY month
"""
_PROVIDERS = "SELECT DISTINCT provider FROM invoice_lines ORDER BY provider"


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of the comparison: pico-dollars, tokens (None: not told), and the parts."""

    cell: Cell
    invoiced: int
    metered: int
    trued_up: int
    invoiced_tokens: int | None
    metered_tokens: int
    parts: Parts
    beside: Mapping[str, int] = field(default_factory=dict)
    """Of the invoiced: fees, credits and taxes."""

    @property
    def ledger(self) -> int:
        """What the ledger has: metered and trued up."""
        return self.metered + self.trued_up

    @property
    def variance(self) -> int:
        """What the invoice has more."""
        return self.invoiced - self.ledger


@dataclass(frozen=True, slots=True)
class Variance:
    """A month compared. ``span``: the days that were; ``zone``: whose days the invoice's are.

    ``outside``: pico-dollars that the ledger has on other days of the month.
    """

    span: Span
    month: date
    zone: str
    monthly: bool
    lines: int
    outside: int
    rows: tuple[Row, ...]

    @property
    def parts(self) -> Parts:
        """The parts of the whole month, every cause."""
        total: Counter[str] = Counter()
        for row in self.rows:
            total.update(row.parts)
        return {cause: total[cause] for cause in CAUSES if total[cause]}

    def by_model(self) -> list[Row]:
        """The rows of each model together, by what they differ."""
        found: dict[str, Row] = {}
        for row in self.rows:
            one = found.get(row.cell.model)
            found[row.cell.model] = row if one is None else _together(one, row)
        return sorted(found.values(), key=lambda row: (-abs(row.variance), row.cell.model))


def compare(
    clickhouse: ClickHouse,
    book: PriceBook,
    provider: str,
    month: date,
    zone: str | None = None,
    *,
    whole: bool = False,
) -> Variance:
    """Compare a month. ``zone`` None: that of the format, or UTC where that is nearer.

    Without ``whole`` only days that the invoice has come to are compared. Raises UserError where
    there is no invoice of the month, and ClickHouseError.
    """
    span = Span.month(provider, month)
    asked = Month(clickhouse, span)
    billed = asked.billed()
    if billed is None:
        raise UserError(_no_invoice(clickhouse, provider, month))
    days = span if whole or billed.monthly else replace(span, first=billed.first, last=billed.last)
    zones = [zone] if zone else [*billed.zones, UTC]
    monthly = billed.monthly
    by_zone = [(one, asked.metered(one, days, monthly=monthly)) for one in dict.fromkeys(zones)]
    named, ours = nearest_zone(billed, by_zone)
    utc = dict(by_zone).get(UTC)
    if utc is None:
        utc = asked.metered(UTC, days, monthly=monthly)
    sides = Sides(
        billed.cells,
        ours,
        {cell: one.cost for cell, one in utc.items()},
        asked.trued_up(days, monthly=monthly),
    )
    parts = attribute(sides, rates_of(book, provider, sides.cells, ours))
    month_usd = sum(sides.utc.values())
    if days != span:
        month_usd = sum(one.cost for one in asked.metered(UTC, span).values())
    return Variance(
        days,
        month,
        named,
        monthly,
        billed.lines,
        month_usd - sum(sides.utc.values()),
        tuple(_row(cell, billed, utc, sides, parts[cell]) for cell in sides.cells),
    )


def rates_of(
    book: PriceBook, provider: str, cells: Collection[Cell], ours: dict[Cell, Ours]
) -> BookRates:
    """Our rates: those of the price book, scaled to what was metered (tiers, regions)."""
    found: dict[Cell, dict[str, Fraction]] = {}
    for cell in cells:
        card = book.card(provider, cell.model, None, None, noon(cell.day)) if cell.model else None
        if card is None:
            continue
        prices = card.usd_per_million(0)
        rates = {
            name: Fraction(Decimal(price)) * _PICO_PER_TOKEN
            for name in CLASSES
            if (price := prices[BUCKET_OF[name]]) is not None
        }
        if (one := ours.get(cell)) is not None:
            listed = sum(one.tokens.get(name, 0) * rate for name, rate in rates.items())
            if listed > 0 and one.cost > 0:
                rates = {name: rate * one.cost / listed for name, rate in rates.items()}
        found[cell] = rates
    return found


def _row(cell: Cell, billed: Billed, utc: dict[Cell, Ours], sides: Sides, parts: Parts) -> Row:
    theirs = billed.cells.get(cell, Theirs())
    return Row(
        cell,
        theirs.total,
        sides.utc.get(cell, 0),
        sides.trued_up.get(cell, 0),
        None if theirs.uncounted else sum(theirs.tokens.values()),
        utc.get(cell, Ours()).total_tokens,
        parts,
        theirs.beside,
    )


def _together(one: Row, other: Row) -> Row:
    parts = Counter(one.parts)
    parts.update(other.parts)
    beside = Counter(one.beside)
    beside.update(other.beside)
    tokens = None
    if one.invoiced_tokens is not None and other.invoiced_tokens is not None:
        tokens = one.invoiced_tokens + other.invoiced_tokens
    return Row(
        one.cell,
        one.invoiced + other.invoiced,
        one.metered + other.metered,
        one.trued_up + other.trued_up,
        tokens,
        one.metered_tokens + other.metered_tokens,
        {cause: usd for cause in CAUSES if (usd := parts[cause])},
        beside,
    )


def _no_invoice(clickhouse: ClickHouse, provider: str, month: date) -> str:
    months = [str(name) for (name,) in clickhouse.query(_MONTHS, {"provider": provider})]
    if months:
        return f"--month: no invoice of {provider} for {month:%Y-%m}; there are {', '.join(months)}"
    known = [str(name) for (name,) in clickhouse.query(_PROVIDERS)]
    there = f"there are invoices of {', '.join(known)}" if known else "none was imported yet"
    return (
        f"--provider: no invoice of {provider!r}; {there}; import one with  "
        f"spendstream invoice import FILE --provider {provider}"
    )
