"""The budget book: what each budget is for, how much, over which period, and what then happens.

Read from a file by `streams.budgets.budget_file`. A mistake says what would be right.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from streams.budgets.currencies import USD
from streams.budgets.exchange import Rates
from streams.budgets.fields import (
    COUNTS,
    DIMENSIONS,
    Amount,
    BudgetPeriod,
    Currency,
    DatedRates,
    Dimension,
    Dimensions,
    FiscalStart,
    Name,
    Scope,
    Unit,
    Zone,
)
from streams.budgets.parts import Action, MemberException, Threshold
from streams.budgets.periods import Calendar, Kind, Rolling
from streams.file_model import FileModel, mistake

__all__ = ["PICO", "Action", "Budget", "BudgetBook", "Dimension", "MemberException", "Threshold"]

PICO = 10**12
"""Money is counted in whole trillionths of its unit."""

WEEKDAYS = {"monday": 0, "saturday": 5, "sunday": 6}


class Budget(FileModel):
    """A limit per period: of the whole organisation, of what ``where`` selects, of ``each`` member.

    A member is a combination of values of the dimensions in ``each``, in their order. ``limit`` is
    in ``unit``: a currency (ISO 4217), `tokens` or `calls`.
    """

    noun = "a budget"

    name: Name = Field(examples=["users"])
    each: Dimensions = ()
    where: Scope = Field(default_factory=dict)
    limit: Amount = Field(examples=["1500.00"])
    unit: Unit = USD
    period: BudgetPeriod = "month"
    thresholds: tuple[Threshold, ...] = tuple(Threshold(at=at) for at in (50, 80, 100))
    exceptions: tuple[MemberException, ...] = ()
    actions: tuple[Action, ...] = ()
    burn_rate: bool | None = None
    """Not for each user or customer unless it says so: one person's spend comes in bursts."""
    forecast: bool = True

    @model_validator(mode="before")
    @classmethod
    def _dimensions_are_in_where(cls, fields: Any) -> Any:
        for key in set(fields) & {*DIMENSIONS} if isinstance(fields, dict) else ():
            raise mistake(f"is no key of a budget; write `where: {{{key}: …}}`", key)
        return fields

    @field_validator("thresholds", "actions")
    @classmethod
    def _each_percentage_once(cls, value: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if info.field_name == "thresholds" and not value:
            raise mistake("is an empty list; write at least one percentage, such as [80, 100]")
        seen: set[int] = set()
        for index, step in enumerate(value):
            if step.at in seen:
                raise mistake(f"{step.at} % is there twice; name it once", index)
            seen.add(step.at)
        return tuple(sorted(value, key=lambda step: step.at))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for dimension in self.each:
            names = self.where.get(dimension, ())
            if len(names) == 1:
                raise mistake(
                    f"is only {names[0]!r}, so there is one member; leave {dimension} out of each",
                    "where",
                    dimension,
                )
        if not self.is_money and self.limit % 1:
            raise mistake(f"is {self.limit}; write a whole number of {self.unit}", "limit")
        for index, exception in enumerate(self.exceptions):
            self._check_exception(index, exception)
        return self

    def _check_exception(self, index: int, exception: MemberException) -> None:
        at = ("exceptions", index)
        if not self.is_money and exception.limit % 1:
            raise mistake(
                f"is {exception.limit}; write a whole number of {self.unit}", *at, "limit"
            )
        for dimension, names in exception.members.items():
            place = (*at, "members", dimension)
            if dimension not in self.each:
                right = f"name members by {', '.join(self.each)}"
                if not self.each:
                    right = f"leave the exceptions out, or write `each: {dimension}`"
                raise mistake(f"the budget is not for each {dimension}; {right}", *place)
            for name in names:
                if name not in self.where.get(dimension, (name,)):
                    raise mistake(
                        f"{name!r} is not in where; add it there, or leave it out", *place
                    )
        for earlier, other in enumerate(self.exceptions[:index]):
            shared = [
                sorted(set(names) & set(other.members[dimension]))
                for dimension, names in exception.members.items()
                if dimension in other.members
            ]
            if all(shared):
                who = ", ".join(names[0] for names in shared) or "some member"
                raise mistake(
                    f"{who} is in exceptions[{earlier}] too; keep it in one of them",
                    *at,
                    "members",
                )

    @property
    def part(self) -> str:
        """The dimension that a sum of it is broken down by: the first of application, model, user
        and team that it does not fix; team, where it is the whole organisation's or a department's.
        """
        fixed = {*self.each} | {name for name, values in self.where.items() if len(values) == 1}
        if fixed <= {"department", "environment"}:
            return "team"
        parts = ("application", "model", "user", "team")
        return next((name for name in parts if name not in fixed), "provider")

    @property
    def watches_burn_rate(self) -> bool:
        """Whether it raises an alert when it is used much faster than evenly."""
        if self.burn_rate is None:
            return not {"user", "customer"} & {*self.each}
        return self.burn_rate

    @property
    def is_money(self) -> bool:
        """Whether the limit is money, not a count."""
        return self.unit not in COUNTS

    def limit_for(self, member: tuple[str, ...] = ()) -> Decimal:
        """The limit of a member, in ``unit``."""
        for wanted, limit in self._exceptions:
            if all(
                names is None or name in names for names, name in zip(wanted, member, strict=True)
            ):
                return limit
        return self.limit

    def limit_units(self, member: tuple[str, ...] = ()) -> int:
        """The limit of a member as a whole number: of tokens, calls, or trillionths (`PICO`) of the
        currency's unit.
        """
        limit = self.limit_for(member)
        numerator, denominator = limit.as_integer_ratio()
        return numerator * (PICO if self.is_money else 1) // denominator

    def scope_of(self, member: tuple[str, ...] = ()) -> dict[str, str]:
        """Dimension → value of what the member is: what ``where`` pins to one value, and itself."""
        pinned: dict[str, str] = {
            dimension: names[0] for dimension, names in self.where.items() if len(names) == 1
        }
        return {**pinned, **dict(zip(self.each, member, strict=True))}

    def window(self, book: BudgetBook) -> Calendar | Rolling:
        """What the limit holds for, by the book's calendar."""
        return self.period if isinstance(self.period, Rolling) else book.calendar(self.period)

    @cached_property
    def _exceptions(self) -> list[tuple[list[frozenset[str] | None], Decimal]]:
        """For each exception the names by position in ``each``, None for any; and its limit."""
        return [
            (
                [
                    frozenset(exception.members[dimension])
                    if dimension in exception.members
                    else None
                    for dimension in self.each
                ],
                exception.limit,
            )
            for exception in self.exceptions
        ]


class BudgetBook(FileModel):
    """All budgets, and the calendar and the exchange rates that they are counted by.

    ``timezone`` is an IANA name. ``exchange_rates``: currency → first day, in that zone → units for
    one USD. Overlapping budgets are all kept.
    """

    noun = "a budgets file"

    timezone: Zone = "UTC"
    fiscal_year_starts: FiscalStart = (1, 1)
    """Month and day."""
    week_starts: Literal["monday", "sunday", "saturday"] = "monday"
    currency: Currency = USD
    """Of the budgets that name no unit."""
    shadow: Literal["count", "ignore"] = "count"
    """Whether shadow calls, which a router makes for comparison, count in budgets: they cost money.
    """
    exchange_rates: dict[Currency, DatedRates] = Field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()

    @field_validator("exchange_rates")
    @classmethod
    def _none_of_the_dollar(cls, value: dict[str, DatedRates]) -> dict[str, DatedRates]:
        if USD in value:
            raise mistake("one USD is one USD; leave it out", USD)
        return value

    @field_validator("budgets", mode="before")
    @classmethod
    def _in_the_books_currency(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, list | tuple):
            return value
        unit = {"unit": info.data.get("currency", USD)}
        return [unit | budget if isinstance(budget, dict) else budget for budget in value]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        first: dict[str, int] = {}
        for index, budget in enumerate(self.budgets):
            if first.setdefault(budget.name, index) != index:
                raise mistake(
                    f"is the name of budgets[{first[budget.name]}] too; give each its own",
                    *("budgets", index, "name"),
                )
            if budget.is_money and budget.unit not in {USD, *self.exchange_rates}:
                raise mistake(
                    f"{budget.unit} has no rates; write units for one USD with their first day, "
                    f"such as `exchange_rates: {{{budget.unit}: {{2026-01-01: 7.80}}}}`",
                    *("budgets", index, "unit"),
                )
        return self

    @cached_property
    def rates(self) -> Rates:
        """The exchange rates."""
        return Rates.of(self.exchange_rates, self.timezone)

    def calendar(self, kind: Kind) -> Calendar:
        """The book's days, weeks, months, quarters or years."""
        weekday = WEEKDAYS[self.week_starts]
        return _calendar(kind, self.timezone, self.fiscal_year_starts, weekday)


@lru_cache
def _calendar(kind: Kind, zone: str, fiscal_start: tuple[int, int], week_starts: int) -> Calendar:
    """One for all who ask for the same: it remembers its periods."""
    return Calendar(kind, zone, fiscal_start, week_starts)
