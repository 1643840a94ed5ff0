"""What the board's report says, before it is set: figures and tables, each with its SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from reports.figures.figure import Figure, Table
from reports.figures.lens import Lens
from reports.figures.period import Period
from reports.savings import Savings


@dataclass(frozen=True, slots=True)
class AsOf:
    """The newest minute of the ledger (UTC), and the journal entry that it reaches to."""

    minute: datetime
    journal: str
    position: int


@dataclass(frozen=True, slots=True)
class Board:
    """``figures`` by name; those that cannot be said are there without a value, but for `forecast`
    and `change`, which are left out where there is nothing to say.

    ``lens`` is of the month up to the day of the report.
    """

    month: Period
    lens: Lens
    as_of: AsOf
    figures: Mapping[str, Figure]
    by_day: Table
    by_day_before: Table
    tiers: Table
    budgets: Table
    outcomes: Table
    departments: Table
    teams: Table
    use_cases: Table
    models: Table
    restated: Table
    savings: Savings

    @property
    def is_over(self) -> bool:
        """Whether the month is over on the day of the report."""
        return self.lens.today > self.month.last

    def tables(self) -> Iterator[Table]:
        """Those that are shown."""
        yield from (self.tiers, self.budgets, self.outcomes, self.departments, self.teams)
        yield from (self.use_cases, self.models, self.restated)
