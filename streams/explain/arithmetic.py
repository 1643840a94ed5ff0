"""The price of one call, line by line: tokens times rates, in exact pico-dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from schemas.tokens import BUCKET_NAMES, INPUT_BUCKETS
from streams.guard.money import usd
from streams.rating.cards import RateCard


@dataclass(frozen=True, slots=True)
class Line:
    """``tokens`` of a bucket at ``rate`` (USD per million as decimal text; None: not known).
    ``bucket`` None: the price of a call as such, and ``rate`` is USD per call."""

    bucket: str | None
    tokens: int
    rate: str | None


@dataclass(frozen=True, slots=True)
class Sum:
    """``pico``: the whole, rounded once, half to even; None where a rate is not known.
    ``above``: the threshold of input tokens that the call exceeds, None: none."""

    lines: tuple[Line, ...]
    above: int | None
    pico: int | None

    @property
    def usd(self) -> Decimal | None:
        """The whole in USD."""
        return None if self.pico is None else usd(self.pico)


def priced(card: RateCard, tokens: Mapping[str, int]) -> Sum:
    """What the card charges for these tokens, bucket → count; as `streams.rating.rate` does."""
    prompt = sum(tokens.get(name, 0) for name in INPUT_BUCKETS)
    level = sum(prompt > threshold for threshold in card.thresholds)
    rates, shown = card.rates[level], card.usd_per_million(level)
    used = [
        (name, tokens[name], rate)
        for name, rate in zip(BUCKET_NAMES, rates, strict=True)
        if tokens.get(name)
    ]
    lines = [Line(name, count, shown[name]) for name, count, _ in used]
    if card.per_call[level]:
        lines.append(Line(None, 1, card.usd_per_call(level)))
    pico = None
    if all(rate is not None for _, _, rate in used):
        total = sum(count * (rate or 0) for _, count, rate in used) + (card.per_call[level] or 0)
        pico = round(Fraction(total, card.denominator))
    return Sum(tuple(lines), card.thresholds[level - 1] if level else None, pico)
