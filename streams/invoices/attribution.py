"""Why invoice and ledger differ in a cell: parts, in pico-dollars, that add up to the difference.

The tokens of both sides are valued at the invoice's own rates. Then what is left between our tokens
at their rates and our cost is the price; and what is left between their tokens and ours is events
that one side has more, or tokens that both have and count as another kind. Where an invoice has no
tokens, they are what its amounts buy at our rates, unless all its days of a model differ from ours
by one and the same factor: then that is its price.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

from streams.invoices.cells import Cell, Ours, Theirs
from streams.invoices.line import CLASSES, OUTPUT

MISSING = "missing_events"
DUPLICATE = "duplicate_or_late_events"
PRICE = "price"
TOKEN_CLASS = "token_class"  # noqa: S105 - a kind of token, no secret
TIME_ZONE = "time_zone"
UNPRICED = "unpriced_models"
NOT_ON_INVOICE = "not_on_invoice"
TRUED_UP = "already_trued_up"
UNEXPLAINED = "unexplained"
BESIDE = {"credit": "credits", "fee": "fees", "tax": "taxes"}
CAUSES = (
    *(MISSING, DUPLICATE, PRICE, TOKEN_CLASS, TIME_ZONE, UNPRICED, NOT_ON_INVOICE),
    *BESIDE.values(),
    *(TRUED_UP, UNEXPLAINED),
)
"""Every cause, in the order in which it is told."""

Parts = dict[str, int]
"""Cause → pico-dollars that the invoice has more because of it."""
BookRates = Mapping[Cell, Mapping[str, Fraction]]
"""Our rates: cell → kind of tokens → pico-dollars a token."""
SAME = Fraction(1, 10**6)
"""Factors that differ by less are one: amounts of an invoice are rounded."""
FEWEST = 3
"""Days that have to show one factor before it is taken for the price."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a month. ``ours`` by the invoice's days, ``utc`` by those of the ledger;
    ``trued_up``: true-ups so far, by days of the ledger."""

    theirs: Mapping[Cell, Theirs]
    ours: Mapping[Cell, Ours]
    utc: Mapping[Cell, int]
    trued_up: Mapping[Cell, int]

    @property
    def cells(self) -> list[Cell]:
        """Every cell that one side has something in."""
        return sorted({*self.theirs, *self.ours, *self.utc, *self.trued_up})

    def variance(self, cell: Cell) -> int:
        """What the invoice has more than the ledger."""
        theirs = self.theirs[cell].total if cell in self.theirs else 0
        return theirs - self.utc.get(cell, 0) - self.trued_up.get(cell, 0)


def attribute(sides: Sides, book: BookRates) -> dict[Cell, Parts]:
    """The parts of each cell's variance; those of a cell add up to it exactly."""
    billed = {cell.model for cell, theirs in sides.theirs.items() if theirs.usd or theirs.other}
    rates = {model: _ModelRates.of(model, sides, book) for model in billed}
    found = {}
    for cell in sides.cells:
        theirs, ours = sides.theirs.get(cell, Theirs()), sides.ours.get(cell, Ours())
        parts: Parts = {BESIDE[charge]: usd for charge, usd in theirs.beside.items()}
        parts[TIME_ZONE] = ours.cost - sides.utc.get(cell, 0)
        parts[TRUED_UP] = -sides.trued_up.get(cell, 0)
        if cell.model in billed:
            for cause, usd in _usage(cell, theirs, ours, rates[cell.model]).items():
                parts[cause] = parts.get(cause, 0) + usd
        else:
            parts[NOT_ON_INVOICE] = -ours.cost
        found[cell] = {cause: usd for cause in CAUSES if (usd := parts.get(cause, 0))}
    return found


@dataclass(frozen=True, slots=True)
class _ModelRates:
    """The invoice's rates of one model: of a cell, else of the month, else ours."""

    of_cell: Mapping[tuple[Cell, str], Fraction]
    of_month: Mapping[str, Fraction]
    book: BookRates

    @classmethod
    def of(cls, model: str, sides: Sides, book: BookRates) -> _ModelRates:
        cells = [cell for cell in sides.cells if cell.model == model]
        of_cell: dict[tuple[Cell, str], Fraction] = {}
        of_month: dict[str, Fraction] = {}
        for name in CLASSES:
            usd = tokens = 0
            for cell in cells:
                theirs = sides.theirs.get(cell)
                if theirs is None or name in theirs.uncounted or not theirs.tokens.get(name):
                    continue
                of_cell[cell, name] = Fraction(theirs.usd.get(name, 0), theirs.tokens[name])
                usd += theirs.usd.get(name, 0)
                tokens += theirs.tokens[name]
            if tokens:
                of_month[name] = Fraction(usd, tokens)
            elif factor := _one_factor(name, cells, sides, book):
                for cell in cells:
                    if (ours := book.get(cell, {}).get(name)) is not None:
                        of_cell[cell, name] = ours * factor
        return cls(of_cell, of_month, book)

    def get(self, cell: Cell, name: str) -> Fraction | None:
        """Pico-dollars a token; None where nobody knows."""
        found = self.of_cell.get((cell, name), self.of_month.get(name))
        return self.book.get(cell, {}).get(name) if found is None else found


def _one_factor(
    name: str, cells: Collection[Cell], sides: Sides, book: BookRates
) -> Fraction | None:
    """By how much the invoice charges more than we on every day; None where days differ."""
    factors = []
    for cell in cells:
        theirs, ours = sides.theirs.get(cell), sides.ours.get(cell)
        rate = book.get(cell, {}).get(name)
        if theirs is None or ours is None or not rate:
            continue
        cost = ours.all_tokens(name) * rate
        if cost > 0 and theirs.usd.get(name):
            factors.append(theirs.usd[name] / cost)
    if len(factors) < FEWEST or max(factors) - min(factors) > SAME * abs(max(factors)):
        return None
    return sum(factors, Fraction(0)) / len(factors)


def _usage(cell: Cell, theirs: Theirs, ours: Ours, rates: _ModelRates) -> Parts:
    """The parts of what is charged for tokens: invoice minus what was metered."""
    due = theirs.usage - ours.cost
    used = [name for name in CLASSES if theirs.usd.get(name) or ours.all_tokens(name)]
    if not used and not due:
        return {}
    known = {name: rate for name in used if (rate := rates.get(cell, name)) is not None}
    if len(known) < len(used) or (theirs.other and not theirs.usd):
        return {UNEXPLAINED: due}
    more = {name: _tokens(theirs, name, known[name]) - ours.all_tokens(name) for name in used}
    missing, duplicate, moved = _split({n: more[n] for n in used if n != OUTPUT}, known)
    answers = more.get(OUTPUT, Fraction(0)) * known.get(OUTPUT, 0)
    parts = {
        UNPRICED: round(sum(ours.unpriced.get(name, 0) * known[name] for name in used)),
        PRICE: round(sum(ours.tokens.get(name, 0) * known[name] for name in used)) - ours.cost,
        MISSING: round(missing + max(answers, Fraction(0))),
        DUPLICATE: round(duplicate + min(answers, Fraction(0))),
        TOKEN_CLASS: round(moved),
    }
    # What is left: usage of no kind that is known, and less than ten pico-dollars of rounding,
    # which belong to the largest part.
    left = due - sum(parts.values()) - theirs.other
    largest = max(parts, key=lambda cause: abs(parts[cause]))
    if abs(left) < 10 and parts[largest]:
        parts[largest] += left
        left = 0
    return parts | {UNEXPLAINED: theirs.other + left}


def _tokens(theirs: Theirs, name: str, rate: Fraction) -> Fraction:
    """The invoice's tokens of a kind, or what its amount buys."""
    if name not in theirs.uncounted:
        return Fraction(theirs.tokens.get(name, 0))
    return theirs.usd.get(name, 0) / rate if rate else Fraction(0)


def _split(
    more: Mapping[str, Fraction], rates: Mapping[str, Fraction]
) -> tuple[Fraction, Fraction, Fraction]:
    """Of prompt tokens that the invoice has more (or less) by kind: the value of what is missing
    here, of what is here twice, and of what only counts as another kind.

    As many tokens as one kind has more and another has less are the same tokens.
    """
    up = {name: count for name, count in more.items() if count > 0}
    down = {name: -count for name, count in more.items() if count < 0}
    ups, downs = sum(up.values()), sum(down.values())
    gained = sum((count * rates[name] for name, count in up.items()), Fraction(0))
    lost = sum((count * rates[name] for name, count in down.items()), Fraction(0))
    both = min(ups, downs)
    if not both:
        return gained, -lost, Fraction(0)
    same_up, same_down = gained * both / ups, lost * both / downs
    return gained - same_up, same_down - lost, same_up - same_down
