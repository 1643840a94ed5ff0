"""US dollars as a reader of the terminal sees them."""

from __future__ import annotations

from decimal import Decimal

from sinks.amounts import amount_text
from streams.guard.money import usd

NOTHING = "–"
"""What is not known, or not there."""


def usd_text(amount: Decimal | None) -> str:
    """`$12.30`."""
    return NOTHING if amount is None else amount_text(amount, "USD")


def signed_usd(amount: Decimal | None) -> str:
    """`+$12.30`, `-$12.30`, `$0.00`."""
    return f"+{usd_text(amount)}" if amount and amount > 0 else usd_text(amount)


def pico_text(pico: int) -> str:
    """`usd_text` of pico-dollars."""
    return usd_text(usd(pico))


def signed_pico(pico: int) -> str:
    """`signed_usd` of pico-dollars."""
    return signed_usd(usd(pico))


def exact_pico(pico: int) -> str:
    """In full: what is written into the ledger is read to the last digit."""
    return f"{'-' if pico < 0 else ''}${usd(abs(pico)).normalize():f}"


def signed_exact_pico(pico: int) -> str:
    """The same with its sign."""
    return f"+{exact_pico(pico)}" if pico > 0 else exact_pico(pico)
