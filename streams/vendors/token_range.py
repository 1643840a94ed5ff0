"""How many tokens another model makes of the same text: `0.8..1.25`, or one number for exactly."""

from __future__ import annotations

import re
from fractions import Fraction

from reports.vendors.compare import Target, TokenRange
from streams.rating.pricebook import PriceBook

_RANGE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)(?:\.\.(\d{1,3}(?:\.\d{1,6})?))?")
MOST = 10
"""A typo such as 125 for 1.25 must not pass for a range."""

AS_THEY_ARE = TokenRange(Fraction(1), Fraction(1))
"""For the same model elsewhere: its tokeniser goes with it."""
DEFAULT = TokenRange(Fraction(4, 5), Fraction(5, 4))
"""For another model. Vendors' tokenisers make up to about a quarter more or fewer tokens of the
same English text or code; measure yours with the vendors' counting endpoints, and say so."""


def token_range(text: str) -> TokenRange:
    """Raises ValueError, whose text says what would be right."""
    found = _RANGE.fullmatch(text.strip())
    low = Fraction(found[1]) if found else Fraction(0)
    high = Fraction(found[2]) if found and found[2] else low
    if not 0 < low <= high <= MOST:
        raise ValueError(
            f"{text!r} is no range of tokens; write it as 0.8..1.25, lower end first, above 0 and "
            f"at most {MOST}, or as 1 where the tokens stay as they are"
        )
    return TokenRange(low, high)


def range_text(tokens: TokenRange) -> str:
    """As it is written."""
    low, high = (f"{float(end):g}" for end in (tokens.low, tokens.high))
    return low if low == high else f"{low}..{high}"


def range_between(book: PriceBook, provider: str, model: str, target: Target) -> TokenRange:
    """What holds where nobody says: the tokens as they are where it is the same model."""
    if model.lower() == target.model.lower():
        return AS_THEY_ARE
    here, there = (
        book.list_prices.find(*pair)
        for pair in ((provider, model), (target.provider, target.model))
    )
    if here and there and here[1].model.id == there[1].model.id:
        return AS_THEY_ARE
    return DEFAULT
