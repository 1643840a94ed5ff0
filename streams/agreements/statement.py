"""The month of each agreement: what it covers, what it comes to, and what the ledger has of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from schemas.errors import UserError
from sinks.clickhouse import ClickHouse
from streams.agreements.book import Agreement, AgreementBook
from streams.agreements.distribute import differences, distribute
from streams.agreements.eligible import (
    ATTRIBUTION,
    Place,
    Spent,
    names_applied,
    read_applied,
    read_spent,
)
from streams.agreements.terms import Settled, settle
from streams.guard.money import usd

COMMITMENT = "commitment"
"""Stands for the model where a team bears what was paid and not used."""


@dataclass(frozen=True, slots=True)
class Statement:
    """An agreement and a month, named by its first day.

    ``applied``: the true-ups in the ledger so far, pico-dollars by place. In a month that it is not
    in force in, the agreement comes to nothing; a proposed one is worked out for any month.
    """

    agreement: Agreement
    month: date
    spent: Spent
    applied: dict[Place, int]

    @property
    def in_force(self) -> bool:
        """Whether its terms are about this month."""
        return self.agreement.proposed or self.agreement.holds_in(self.month)

    @property
    def settled(self) -> Settled:
        """What it comes to."""
        eligible = self.spent.eligible
        return settle(self.agreement, eligible) if self.in_force else Settled(eligible)

    @property
    def true_up(self) -> int:
        """What the ledger has to hold for it beside the spend, pico-dollars: shortfall - rebate."""
        return 0 if self.agreement.proposed else -self.settled.saved

    @property
    def outstanding(self) -> int:
        """What of it the ledger does not hold yet, pico-dollars."""
        return self.true_up - sum(self.applied.values())

    def to_apply(self) -> dict[Place, int]:
        """Amounts by place that the ledger lacks, pico-dollars; nothing where it has all.

        Raises UserError where a shortfall has nobody to go to.
        """
        return differences(self._wanted(), self.applied)

    @property
    def has_no_bearer(self) -> bool:
        """Whether there is a shortfall, and neither spend nor a team that it could go to."""
        settled = self.settled
        return bool(settled.shortfall) and not self._bearer and settled.eligible.spend <= 0

    def _wanted(self) -> dict[Place, int]:
        settled, shares = self.settled, self.spent.places
        if self.agreement.proposed or not (settled.rebate or settled.shortfall):
            return {}
        in_proportion, team = -settled.rebate, self._bearer
        if team is None:
            in_proportion += settled.shortfall
        if self.has_no_bearer:
            raise UserError(
                f"{self.agreement.name}: nobody spent anything under it in {self.month:%Y-%m}, so "
                f"its shortfall of ${usd(settled.shortfall).normalize():f} has nobody to go to; "
                "add shortfall_to: TEAM to its commitment"
            )
        wanted = distribute(in_proportion, shares) if in_proportion else {}
        if team is not None and settled.shortfall:
            wanted[self._place_of(team)] = settled.shortfall
        return wanted

    @property
    def _bearer(self) -> str | None:
        terms = self.agreement.commitment
        return None if terms is None else terms.shortfall_to

    def _place_of(self, team: str) -> Place:
        values = {"team": team, "provider": self.agreement.provider, "model": COMMITMENT}
        following = (self.month.replace(day=28) + timedelta(days=4)).replace(day=1)
        return Place(following - timedelta(days=1), tuple(map(values.get, ATTRIBUTION)))


@dataclass(frozen=True, slots=True)
class Statements:
    """All agreements of a file in a month. ``strangers``: names that the ledger was trued up for,
    and that the file does not have (any more)."""

    month: date
    statements: tuple[Statement, ...]
    strangers: tuple[str, ...]


def read_statements(clickhouse: ClickHouse, book: AgreementBook, month: date) -> Statements:
    """Ask the ledger. Raises ClickHouseError."""
    found = [read_statement(clickhouse, one, month) for one in book.agreements]
    known = {one.name for one in book.signed}
    strangers = [name for name in names_applied(clickhouse, month) if name not in known]
    return Statements(month, tuple(found), tuple(strangers))


def read_statement(clickhouse: ClickHouse, agreement: Agreement, month: date) -> Statement:
    """One agreement's. Raises ClickHouseError."""
    # The true-ups first: what is added in between is then left to do, and not done twice.
    applied = {} if agreement.proposed else read_applied(clickhouse, agreement.name, month)
    return Statement(agreement, month, read_spent(clickhouse, agreement, month), applied)


def outstanding(statements: Sequence[Statement]) -> list[Statement]:
    """Those that the ledger does not hold all of, in their order."""
    return [one for one in statements if not one.agreement.proposed and one.to_apply()]
