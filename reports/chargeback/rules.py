"""How a month is charged: markup, shared costs, and the currency of the statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

By = Literal["spend", "calls", "fixed"]

_DECIMALS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""ISO 4217: how many decimals a currency has, where they are not two."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Spend that other departments carry: of these ``teams``, and of who names no department.

    ``by``: in proportion to the spend or the calls of the departments, or by fixed ``parts``
    (department → how many). ``departments``: who carries it; empty: everybody who has usage of
    their own, and with fixed parts whoever has one.
    """

    name: str
    teams: tuple[str, ...] = ()
    unattributed: bool = False
    by: By = "spend"
    parts: Mapping[str, Decimal] = field(default_factory=dict)
    departments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """``markup``: percent on a department's own usage; ``markups``: department → another one.

    ``rate``: units of ``currency`` for one USD, and ``rate_since``: the day from which it holds.
    ``name``: of the file, empty where there is none.
    """

    name: str = ""
    currency: str = "USD"
    rate: Decimal = Decimal(1)
    rate_since: date | None = None
    markup: Decimal = Decimal(0)
    markups: Mapping[str, Decimal] = field(default_factory=dict)
    shared: tuple[Shared, ...] = ()

    def percent(self, department: str | None) -> Decimal:
        """The markup of a department; None: of who names none."""
        return self.markup if department is None else self.markups.get(department, self.markup)

    @property
    def decimals(self) -> int:
        """How many decimals an amount of the currency has."""
        return _DECIMALS.get(self.currency, 2)
