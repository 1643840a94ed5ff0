"""Exchange rates of the budget book: what one US dollar was worth, and from which day on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Self

from streams.budgets.currencies import USD
from streams.budgets.periods import first_instant

ALWAYS = datetime.min.replace(tzinfo=UTC)

Segments = tuple[tuple[datetime, Decimal], ...]


@dataclass(frozen=True)
class Rates:
    """Units of a currency for one USD, each from an instant (UTC) until the next one. USD is 1."""

    _segments: Mapping[str, Segments]

    @classmethod
    def of(cls, dated: Mapping[str, Mapping[date, Decimal]], zone: str) -> Self:
        """Rates that hold from the first instant of a day in this zone on, by currency."""
        return cls(
            {USD: ((ALWAYS, Decimal(1)),)}
            | {
                currency: tuple((first_instant(zone, day), rates[day]) for day in sorted(rates))
                for currency, rates in dated.items()
            }
        )

    def segments(self, currency: str) -> Segments:
        """When each rate begins to hold, and the rate, oldest first; empty where there is none.

        That of USD begins with time itself (`ALWAYS`).
        """
        return self._segments.get(currency, ())

    def at(self, currency: str, moment: datetime) -> Decimal | None:
        """The rate at this moment; None before the first, and of a currency without rates."""
        segments = self.segments(currency)
        index = bisect_right(segments, moment, key=lambda segment: segment[0])
        return segments[index - 1][1] if index else None
