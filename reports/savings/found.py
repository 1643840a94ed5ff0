"""All that was read of ClickHouse for a report, before it is put into words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from reports.routing.figures import total
from reports.savings.asked import Asked
from reports.savings.model import Range, Terms
from reports.savings.read import Group, Growth, Waste
from reports.savings.route import Routes


@dataclass(frozen=True, slots=True)
class Found:
    """``cautious`` and ``hopeful``: the same calls by group, judged in either case."""

    asked: Asked
    cautious: Sequence[Group]
    hopeful: Sequence[Group]
    routes: Routes
    waste: Waste
    growth: Growth

    @property
    def terms(self) -> Terms:
        """The reader's."""
        return self.asked.terms

    @property
    def calls(self) -> int:
        """All calls of the archive, shadows left out."""
        return sum(one.calls for one in self.cautious)

    @property
    def cost(self) -> Decimal:
        """What they cost, USD, as far as it is known."""
        return total(one.cost for one in self.cautious)

    def range_of(self, amount: Callable[[Group], Decimal]) -> Range:
        """Its sum in both cases."""
        return Range(total(map(amount, self.cautious)), total(map(amount, self.hopeful)))
