"""The rate card: what one model charges per token, as integers, for one stretch of time.

Rates are integers in pico-dollars (1e-12 USD) per token, so that a cost is a sum of products of
integers. USD per million tokens, the unit of price lists, is the same number times 1e6. A few
published prices have more than six decimals (0.0833333333333333); their cards hold numerators over
a power of ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal, Self

from schemas.tokens import BUCKET_NAMES

MAX_RATE = 9_000_000_000
"""Highest rate, pico-dollars per token: 9,000 USD per million tokens. Times MAX_TOKENS_PER_EVENT it
is 9.0e18, and with MAX_PER_CALL 9.2e18: below 2**63, so no cost of one event can wrap around."""
MAX_PER_CALL = 200_000 * 10**12
"""Highest price per call, pico-dollars: 200,000 USD. See MAX_RATE."""
MAX_DENOMINATOR = 10**15
"""With it MAX_RATE * MAX_DENOMINATOR * MAX_TOKENS_PER_EVENT is 9e33, which fits 128 bits."""

_PICO_PER_USD = 10**12
_PICO_PER_TOKEN = 10**6  # of a price of 1 USD per million tokens


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided on a price, as a file says it: ``who``, and ``why``."""

    what: str
    who: str | None = None
    why: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PriceSource:
    """Where a price comes from. ``checked`` is the newest day its source says it was checked."""

    name: str
    urls: tuple[str, ...] = ()
    comments: str | None = None
    checked: date | None = None
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """Prices that hold above ``above_input_tokens`` (None: from the first token on), as published.

    ``usd_per_million``: bucket name → USD per million tokens; a bucket without an entry, or with
    None, has no known price. ``usd_per_call``: None where calls as such are not charged.
    """

    above_input_tokens: int | None
    usd_per_million: Mapping[str, Decimal | None]
    usd_per_call: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RateCard:
    """Integer rates. ``rates[n]`` applies to all tokens of a call with more input-side tokens than
    ``thresholds[n - 1]`` (and not more than the next one): cliff pricing.

    ``rates[n][b]``: numerator for bucket ``BUCKETS[b]``, pico-dollars per token times
    ``denominator``; None where no rate is known. ``per_call[n]``: the same, per call.
    ``service_tier``: the tier whose price this is, which is standard where the tier that was asked
    for has no price of its own.
    """

    price_ref: str
    service_tier: str
    thresholds: tuple[int, ...]
    rates: tuple[tuple[int | None, ...], ...]
    per_call: tuple[int | None, ...]
    denominator: int
    source: PriceSource

    @classmethod
    def of(
        cls, price_ref: str, service_tier: str, levels: Sequence[Level], source: PriceSource
    ) -> Self:
        """The card of these levels, lowest first. Raises ValueError where a price is out of bounds.

        A bound is broken by a negative or not finite price, one above MAX_RATE or MAX_PER_CALL, or
        one with more decimals than MAX_DENOMINATOR can hold.
        """
        per_token = [
            [_exact(level.usd_per_million.get(name), _PICO_PER_TOKEN) for name in BUCKET_NAMES]
            for level in levels
        ]
        per_call = [_exact(level.usd_per_call, _PICO_PER_USD) for level in levels]
        rates, calls, denominator = _integers(per_token, per_call)
        return cls(
            price_ref=price_ref,
            service_tier=service_tier,
            thresholds=tuple(
                level.above_input_tokens
                for level in levels[1:]
                if level.above_input_tokens is not None
            ),
            rates=rates,
            per_call=calls,
            denominator=denominator,
            source=source,
        )

    def times(self, factor: Fraction) -> Self:
        """The card with every price times ``factor``, exactly. Raises ValueError as `of` does."""
        if factor == 1:
            return self
        exactly = factor / self.denominator
        rates, per_call, denominator = _integers(
            [[_times(rate, exactly) for rate in rates] for rates in self.rates],
            [_times(price, exactly) for price in self.per_call],
        )
        return replace(self, rates=rates, per_call=per_call, denominator=denominator)

    @property
    def charges(self) -> bool:
        """False where the card holds no rate at all: then nothing is known, and nothing is free."""
        prices = [*self.per_call, *(rate for rates in self.rates for rate in rates)]
        return any(price is not None for price in prices)

    def standing_in_for(self, service_tier: str) -> Self:
        """This standard card, for a tier without a price of its own; the reference says so."""
        note = f" (no {service_tier} price known: standard)"
        return replace(self, price_ref=self.price_ref + note)

    def usd_per_million(self, level: int) -> dict[str, str | None]:
        """Bucket name → USD per million tokens, exact decimal text, None where unknown."""
        scale = _PICO_PER_TOKEN * self.denominator
        return {
            name: None if rate is None else _decimal_text(rate, scale)
            for name, rate in zip(BUCKET_NAMES, self.rates[level], strict=True)
        }

    def usd_per_call(self, level: int) -> str | None:
        """USD per call, exact decimal text; None where calls as such are not charged."""
        price = self.per_call[level]
        return None if price is None else _decimal_text(price, _PICO_PER_USD * self.denominator)


Unit = Literal["USD per million tokens", "USD per call"]


def _integers(
    per_token: Sequence[Sequence[Fraction | None]], per_call: Sequence[Fraction | None]
) -> tuple[tuple[tuple[int | None, ...], ...], tuple[int | None, ...], int]:
    """Numerators of rates and of prices per call, and their denominator, from pico-dollars."""
    every = [rate for rates in per_token for rate in rates]
    _within(MAX_RATE, every, "USD per million tokens")
    _within(MAX_PER_CALL, per_call, "USD per call")
    denominator = _denominator([*per_call, *every])
    return (
        tuple(tuple(_numerator(rate, denominator) for rate in rates) for rates in per_token),
        tuple(_numerator(price, denominator) for price in per_call),
        denominator,
    )


def _times(numerator: int | None, factor: Fraction) -> Fraction | None:
    return None if numerator is None else numerator * factor


def _exact(usd: Decimal | None, pico_per_unit: int) -> Fraction | None:
    if usd is None:
        return None
    if not usd.is_finite():
        raise ValueError(f"{usd} is no price")
    return Fraction(usd) * pico_per_unit


def _within(limit: int, values: Sequence[Fraction | None], unit: Unit) -> None:
    scale = _PICO_PER_TOKEN if unit == "USD per million tokens" else _PICO_PER_USD
    for value in values:
        if value is not None and not 0 <= value <= limit:
            price = Decimal(value.numerator) / Decimal(value.denominator * scale)
            raise ValueError(f"a price of {price:.6g} {unit} is outside 0 to {limit // scale}")


def _denominator(values: Sequence[Fraction | None]) -> int:
    denominator = 1
    while any(value is not None and (value * denominator).denominator != 1 for value in values):
        denominator *= 10
        if denominator > MAX_DENOMINATOR:
            raise ValueError("a price has more than 21 decimals per million tokens")
    return denominator


def _numerator(value: Fraction | None, denominator: int) -> int | None:
    return None if value is None else int(value * denominator)


def _decimal_text(numerator: int, power_of_ten: int) -> str:
    whole, rest = divmod(numerator, power_of_ten)
    digits = str(rest).zfill(len(str(power_of_ten)) - 1).rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
