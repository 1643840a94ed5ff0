"""Exact money in the guard: whole pico-dollars inside, decimal USD outside."""

from __future__ import annotations

from decimal import Context, Decimal

_EXACT = Context(prec=60)
"""Decimal's default of 28 digits would round a sum of the 38 that a column can hold."""


def pico(usd: Decimal | None) -> int:
    """Whole pico-dollars of a sum; a sum over nothing known adds nothing."""
    return 0 if usd is None else int(usd.scaleb(12, _EXACT))


def usd(amount: int) -> Decimal:
    """USD of whole pico-dollars."""
    return Decimal(amount).scaleb(-12, _EXACT)
