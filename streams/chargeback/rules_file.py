"""The file of chargeback rules: markup, shared costs and currency. See examples/chargeback.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from reports.chargeback.rules import Rules, Shared
from schemas.errors import UserError
from streams.budgets.currencies import USD
from streams.budgets.fields import Currency, DatedRates, Name, Names
from streams.file_model import FileModel, known_or_nearest, mistake, wrong
from streams.yaml_file import Loc, YamlFile

_SHAPE = "holds no rules; expected keys such as markup and shared, as in examples/chargeback.yaml"
_PERCENT = re.compile(r"-?\d{1,4}(\.\d{1,6})?")
_PART = re.compile(r"\d{1,9}(\.\d{1,6})?")
MOST_PERCENT = 1000


def _percent(value: Any) -> Decimal:
    plain = isinstance(value, str) and _PERCENT.fullmatch(value)
    if not plain or not -100 <= Decimal(value) <= MOST_PERCENT:
        raise wrong(value, f"write percent from -100 to {MOST_PERCENT}, such as 7.5")
    return Decimal(value)


def _part(value: Any) -> Decimal:
    if not isinstance(value, str) or not _PART.fullmatch(value) or not Decimal(value):
        raise wrong(value, "write a plain number above 0: 3 and 1 are three quarters and a quarter")
    return Decimal(value)


def _flag(value: Any) -> bool:
    if value not in {"true", "false"}:
        raise wrong(value, "write true or false")
    return bool(value == "true")


Percent = Annotated[Decimal, BeforeValidator(_percent)]
Part = Annotated[Decimal, BeforeValidator(_part)]


class Markup(FileModel):
    """``percent`` on the usage of every department; ``departments``: another one for some."""

    noun = "the markup"

    percent: Percent = Decimal(0)
    departments: dict[Name, Percent] = Field(default_factory=dict)


class SharedCost(FileModel):
    """Spend of ``teams``, or of who names no department, that departments carry together."""

    noun = "a shared cost"

    name: Name = Field(examples=["Platform"])
    teams: Names = ()
    unattributed: Annotated[bool, BeforeValidator(_flag)] = False
    by: Literal["spend", "calls", "fixed"] = "spend"
    parts: dict[Name, Part] = Field(default_factory=dict)
    departments: Names = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.teams and not self.unattributed:
            raise mistake("shares no spend; write `teams: [platform]` or `unattributed: true`")
        if self.by == "fixed" and not self.parts:
            raise mistake(
                "by fixed parts needs them; write for example `parts: {Sales: 3, R&D: 1}`"
            )
        if self.by != "fixed" and self.parts:
            raise mistake(f"has parts and goes by {self.by}; write `by: fixed`", "parts")
        if self.by == "fixed" and self.departments:
            raise mistake(
                "goes by parts, which name the departments; leave this out", "departments"
            )
        return self


class RulesFile(FileModel):
    """A file of chargeback rules. ``exchange_rates``: currency → first day → units for one USD."""

    noun = "a chargeback file"

    currency: Currency = USD
    exchange_rates: dict[Currency, DatedRates] = Field(default_factory=dict)
    markup: Markup = Markup()
    shared: tuple[SharedCost, ...] = ()

    @field_validator("exchange_rates")
    @classmethod
    def _none_of_the_dollar(cls, value: dict[str, Any]) -> dict[str, Any]:
        if USD in value:
            raise mistake("one USD is one USD; leave it out", USD)
        return value

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if self.currency not in {USD, *self.exchange_rates}:
            raise mistake(
                f"{self.currency} has no rates; write units for one USD with their first day, "
                f"such as `exchange_rates: {{{self.currency}: {{2026-01-01: 7.80}}}}`",
                "currency",
            )
        names: dict[str, int] = {}
        teams: dict[str, int] = {}
        for index, shared in enumerate(self.shared):
            if (first := names.setdefault(shared.name, index)) != index:
                raise mistake(
                    f"has the name of shared[{first}]; give each its own", "shared", index
                )
            for team in shared.teams:
                if (first := teams.setdefault(team, index)) != index:
                    raise mistake(
                        f"{team} is in shared[{first}] already; a team's spend is shared once",
                        *("shared", index, "teams"),
                    )
        takers = [index for index, shared in enumerate(self.shared) if shared.unattributed]
        if len(takers) > 1:
            raise mistake(
                f"shared[{takers[0]}] takes it already; it is shared once",
                *("shared", takers[1], "unattributed"),
            )
        return self


def load_rules(path: Path, month: date) -> tuple[Rules, YamlFile]:
    """The rules for a month (its first day), at the exchange rate of its last day.

    Raises UserError: file, line, place, and what would be right.
    """
    file = YamlFile.read(path, shape=_SHAPE)
    read = file.validated(RulesFile)
    rate, since = Decimal(1), None
    if read.currency != USD:
        following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        dated = read.exchange_rates[read.currency]
        days = [day for day in dated if day < following]
        if not days:
            raise file.error(
                ("exchange_rates", read.currency),
                f"has no rate for {month:%Y-%m}; the first one is from {min(dated)}",
            )
        since = max(days)
        rate = dated[since]
    shared = tuple(
        Shared(one.name, one.teams, one.unattributed, one.by, one.parts, one.departments)
        for one in read.shared
    )
    rules = Rules(
        path.name,
        read.currency,
        rate,
        since,
        read.markup.percent,
        read.markup.departments,
        shared,
    )
    return rules, file


def check_names(
    rules: Rules, file: YamlFile, departments: Collection[str], teams: Collection[str]
) -> None:
    """Raise UserError for a department or team that the ledger has never seen."""
    for loc, kind, name in _names(rules):
        known = departments if kind == "department" else teams
        if name not in known:
            near = known_or_nearest(name, sorted(known)[:20]) if known else "there are none yet"
            raise file.error(loc, f"the ledger has no {kind} {name!r}; {near}")


def _names(rules: Rules) -> Iterator[tuple[Loc, str, str]]:
    for name in rules.markups:
        yield ("markup", "departments", name), "department", name
    for index, shared in enumerate(rules.shared):
        for number, team in enumerate(shared.teams):
            yield ("shared", index, "teams", number), "team", team
        for name in shared.parts:
            yield ("shared", index, "parts", name), "department", name
        for number, name in enumerate(shared.departments):
            yield ("shared", index, "departments", number), "department", name


def unknown_department(wanted: str, known: Collection[str]) -> UserError:
    """The error for a department that no statement is made for."""
    near = known_or_nearest(wanted, sorted(known)) if known else "there are none"
    return UserError(f"--department: there is no statement for {wanted!r}; {near}")
