"""Exchange rates that were given: on the command line, or in the budgets file. Never assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from schemas.errors import UserError
from streams.budgets.currencies import CURRENCIES, USD
from streams.budgets.exchange import Rates


@dataclass(frozen=True, slots=True)
class GivenRates:
    """Units of a currency for one USD: ``given`` hold on every day, else those of the book."""

    given: Mapping[str, Decimal]
    book: Rates | None = None

    def at(self, currency: str, day: date) -> Decimal | None:
        """The rate at noon UTC of this day; None where none was given."""
        if (rate := self.given.get(currency)) is not None:
            return rate
        if self.book is None:
            return None
        return self.book.at(currency, datetime.combine(day, time(12), UTC))


def parse_rates(pairs: Sequence[str]) -> dict[str, Decimal]:
    """`EUR=0.92` as currency and units for one USD. Raises UserError."""
    found: dict[str, Decimal] = {}
    for pair in pairs:
        currency, _, units = pair.partition("=")
        currency = currency.strip().upper()
        try:
            rate = Decimal(units.strip())
        except InvalidOperation:
            rate = Decimal(0)
        if currency not in CURRENCIES or not rate.is_finite() or rate <= 0:
            raise UserError(
                f"--rate {pair}: write a currency and how much of it one USD is, such as EUR=0.92"
            )
        if currency == USD:
            raise UserError(f"--rate {pair}: one USD is one USD; name another currency")
        found[currency] = rate
    return found
