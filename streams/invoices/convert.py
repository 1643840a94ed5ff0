"""A row of an export into a line that is kept, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from streams.budgets.currencies import CURRENCIES, USD
from streams.imports.source import Passed
from streams.imports.values import PICO, invalid, missing, shown
from streams.invoices.formats import Format
from streams.invoices.line import Identities, Line, Said
from streams.invoices.rates import GivenRates
from streams.invoices.words import Models, plain_name

LARGEST = Decimal("1e24")
"""What a column of Decimal(38, 12) can hold, and add up."""
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Converter:
    """Reads the rows of one export. ``models`` are those of the provider in the ledger.

    ``only``: of an export of several providers the lines that have these words in some cell.
    """

    form: Format
    identities: Identities
    models: Models
    rates: GivenRates
    only: str = ""

    def line(self, number: int, row: Mapping[str, str]) -> Line:
        """The line. Raises InvalidEvent, and Passed where it is none of a model's service."""
        if self.only and not any(self.only.lower() in cell.lower() for cell in row.values()):
            raise Passed("not_asked_for", f"has no cell with {self.only!r}")
        said = self.form.read(row)
        if said.currency not in CURRENCIES:
            raise invalid(f"currency: is {shown(said.currency)}; a code such as USD was expected")
        if said.currency == USD:
            rate = None
        elif (rate := self.rates.at(said.currency, said.day)) is None:
            raise missing(
                "rate",
                f"{said.currency} on {said.day}: no rate is given; name one with "
                f"--rate {said.currency}=…, or exchange_rates in the budgets file",
            )
        exact = Decimal(said.amount)
        if abs(exact) >= LARGEST:
            raise invalid(f"amount: is {shown(said.amount)}; that is no amount of an invoice")
        usd = exact if rate is None else _EXACT.divide(exact, rate)
        return Line(
            self.identities.next(said),
            number,
            said,
            self.models.find(said.model, said.sku) or _named(said),
            _pico(exact),
            rate,
            _pico(usd),
        )


def _named(said: Said) -> str | None:
    """What the invoice calls the model; taxes, credits and fees are of none."""
    return (plain_name(said.model or said.sku) or None) if said.charge == "usage" else None


def _pico(amount: Decimal) -> Decimal:
    """Rounded, half to even, to the pico of the ledger."""
    return amount.quantize(PICO, context=_EXACT)
