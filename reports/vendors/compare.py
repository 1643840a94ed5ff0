"""What usage would have cost elsewhere, as a range: pure, exact, and null where it is not known.

Where each price comes from is the caller's: a `Pricer` answers for one stretch of usage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from reports.vendors.usage import Usage

EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)
"""Decimal's default of 28 digits would round the 38 that a sum can hold."""

ASSUMPTIONS = (
    "the calls, and their split into buckets (cache reads, reasoning), stay as they are",
    "each call is priced at its own time by the price book: list prices, unless your price file "
    "says otherwise",
    "quality is not compared; test it with shadow calls (docs/routing-report.md)",
)
"""What every figure of the comparison rests on, beside the range of tokens."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where usage could go. ``region`` None: that of each call, as it is."""

    provider: str
    model: str
    region: str | None = None

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}" + (f" in {self.region}" if self.region else "")


@dataclass(frozen=True, slots=True)
class TokenRange:
    """Tokens there for each token here, as tokenisers differ: at least, at most."""

    low: Fraction
    high: Fraction


@dataclass(frozen=True, slots=True)
class Choice:
    """One comparison: all usage of a model, at a target."""

    provider: str
    model: str
    target: Target
    tokens: TokenRange


@dataclass(frozen=True, slots=True)
class Quote:
    """What a stretch of usage costs somewhere: ``per_token``, pico-dollars for all its tokens as
    they are, and ``per_call``, for all its calls; or ``missing``, why that is not known.

    ``price_ref``: which price. ``stands_in``: it is the standard price of a tier without one.
    """

    per_token: Fraction = Fraction(0)
    per_call: Fraction = Fraction(0)
    price_ref: str | None = None
    stands_in: bool = False
    missing: tuple[str, ...] = ()


Pricer = Callable[[Usage, Target], Quote]


@dataclass(frozen=True, slots=True)
class Compared:
    """A model's usage and its cost, exact USD, beside what it would have cost at the target.

    ``low`` and ``high`` None: ``missing`` says which buckets have no rate there, so it is not
    comparable. ``prices``: the references of the prices there. ``by_book``: what the pricer says of
    the same usage where it is; another amount than ``cost`` where the ledger was rated by other
    prices, repriced or trued up; None: not known.
    """

    choice: Choice
    calls: int
    cost: Decimal
    by_book: Decimal | None
    low: Decimal | None
    high: Decimal | None
    missing: tuple[str, ...]
    prices: tuple[str, ...]
    stands_in: bool

    @property
    def differences(self) -> tuple[Decimal, Decimal] | None:
        """USD there less USD here: at least, at most."""
        if self.low is None or self.high is None:
            return None
        return EXACT.subtract(self.low, self.cost), EXACT.subtract(self.high, self.cost)


def compare(usage: Sequence[Usage], choices: Iterable[Choice], pricer: Pricer) -> list[Compared]:
    """Each choice, in the order given. A model without usage has no line."""
    by_model: dict[tuple[str, str], list[Usage]] = {}
    for one in usage:
        by_model.setdefault((one.provider, one.model), []).append(one)
    return [
        _compared(choice, found, pricer)
        for choice in choices
        if (found := by_model.get((choice.provider, choice.model)))
    ]


def _compared(choice: Choice, usage: Sequence[Usage], pricer: Pricer) -> Compared:
    quotes = [pricer(one, choice.target) for one in usage]
    missing = _missing(quotes)
    low = high = None
    if not missing:
        tokens = sum((quote.per_token for quote in quotes), Fraction(0))
        calls = sum((quote.per_call for quote in quotes), Fraction(0))
        # A void takes back what it stands for, so a sum may be negative: then the ends change.
        ends = [usd(tokens * factor + calls) for factor in (choice.tokens.low, choice.tokens.high)]
        low, high = min(ends), max(ends)
    return Compared(
        choice,
        sum(one.calls for one in usage),
        total(one.cost for one in usage),
        _here(choice, usage, pricer),
        low,
        high,
        missing,
        tuple(dict.fromkeys(quote.price_ref for quote in quotes if quote.price_ref)),
        any(quote.stands_in for quote in quotes),
    )


def _here(choice: Choice, usage: Sequence[Usage], pricer: Pricer) -> Decimal | None:
    quotes = [pricer(one, Target(choice.provider, choice.model)) for one in usage]
    if _missing(quotes):
        return None
    return usd(sum((quote.per_token + quote.per_call for quote in quotes), Fraction(0)))


def _missing(quotes: Iterable[Quote]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for quote in quotes for name in quote.missing))


def usd(pico: Fraction) -> Decimal:
    """USD of pico-dollars, rounded once, half to even."""
    return Decimal(round(pico)).scaleb(-12, EXACT)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Their sum, to the last digit."""
    whole = Decimal(0)
    for amount in amounts:
        whole = EXACT.add(whole, amount)
    return whole
