"""The agreements file: what each agreement covers, from when until when, and its terms.

An agreement counts whole months (UTC) and covers one provider's models. Signed agreements do not
overlap, so that no spend is rebated twice; proposed ones may, as nothing of them is ever applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from streams.agreements.fields import FirstOfMonth, Label, Models, Percent, Provider
from streams.budgets.fields import Amount
from streams.file_model import FileModel, mistake, wrong
from streams.yaml_file import YamlFile

_SHAPE = (
    "holds no agreements; expected a list under the key agreements, as in examples/agreements.yaml"
)
_PICO = 10**12


class Step(FileModel):
    """Above so many USD, or tokens, of a month: so many percent off."""

    noun = "a step"

    above: Amount = Field(examples=["10000"])
    percent: Percent = Field(examples=["5"])


class Volume(FileModel):
    """Volume steps. ``measure``: what is counted up to them; the rebate is always on spend.

    ``rebate_on``: `part_above`, each step's percentage is off the part that lies above it (and not
    above the next one); `whole_month`, the percentage of the highest step that is passed is off all
    of the month.
    """

    noun = "volume steps"

    measure: Literal["spend", "tokens"] = "spend"
    rebate_on: Literal["part_above", "whole_month"] = Field(examples=["part_above"])
    steps: tuple[Step, ...] = Field(examples=["[{above: 10000, percent: 5}]"])

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if not steps:
            raise mistake(
                "is an empty list; write at least one, such as {above: 10000, percent: 5}"
            )
        for index, (one, following) in enumerate(pairwise(steps), 1):
            if following.above <= one.above:
                raise mistake("is not above the step before it; put steps in order", index, "above")
            if following.percent <= one.percent:
                raise mistake(
                    f"is not more than the {one.percent} % of the step before; more volume earns "
                    "more, or leave the step out",
                    *(index, "percent"),
                )
        return steps

    @model_validator(mode="after")
    def _tokens_are_whole(self) -> Self:
        if self.measure == "tokens":
            for index, step in enumerate(self.steps):
                if step.above % 1:
                    raise mistake(
                        f"is {step.above}; write a whole number of tokens", "steps", index, "above"
                    )
        return self


class Commitment(FileModel):
    """Committed use: ``monthly_usd`` are paid each month, used or not, and use is ``percent`` off.

    So it covers use worth monthly_usd / (1 - percent / 100) before the discount. ``overage``: what
    is used beyond that has the same discount (`discounted`), or none (`list`). ``shortfall_to``:
    the team that bears what is paid and not used; without it everybody does, in proportion.
    """

    noun = "a commitment"

    monthly_usd: Amount = Field(examples=["20000"])
    percent: Percent = Field(examples=["15"])
    overage: Literal["list", "discounted"] = Field(examples=["discounted"])
    shortfall_to: Label | None = None


class Agreement(FileModel):
    """An agreement of volume steps or of committed use; ``name`` is its identity in the ledger.

    ``models``: names, or beginnings with a `*`; without them all of the provider's. It holds from
    ``effective_from`` until ``effective_until`` (not included), firsts of months, UTC.
    """

    noun = "an agreement"

    name: Label = Field(examples=["anthropic-2026"])
    provider: Provider = Field(examples=["anthropic"])
    models: Models = ()
    effective_from: FirstOfMonth = Field(examples=["2026-10-01"])
    effective_until: FirstOfMonth | None = None
    proposed: Annotated[bool, BeforeValidator(lambda value: _truth(value))] = False
    volume: Volume | None = None
    commitment: Commitment | None = None
    who: str | None = None
    why: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.effective_until is not None and self.effective_until <= self.effective_from:
            raise mistake("is not after effective_from", "effective_until")
        if (self.volume is None) == (self.commitment is None):
            raise mistake(
                "has both volume and commitment; write two agreements of different models"
                if self.volume
                else "has no terms; write volume: or commitment:, as in examples/agreements.yaml"
            )
        return self

    def covers(self, model: str) -> bool:
        """Whether this model of the provider is meant, in any case."""
        name = model.lower()
        return not self.models or any(_matches(pattern, name) for pattern in self.models)

    def holds_in(self, month: date) -> bool:
        """Whether it is in force in the month that begins on that day."""
        return self.effective_from <= month and (
            self.effective_until is None or month < self.effective_until
        )

    def overlaps(self, other: Agreement) -> bool:
        """Whether some model may be covered by both at some time."""
        ends = (self.effective_until or date.max, other.effective_until or date.max)
        apart = max(self.effective_from, other.effective_from) >= min(ends)
        return not apart and self.shares(other)

    def shares(self, other: Agreement) -> bool:
        """Whether some model may be covered by both, at whatever time."""
        return self.provider == other.provider and any(
            _alike(one, another)
            for one in self.models or ("*",)
            for another in other.models or ("*",)
        )


class AgreementBook(FileModel):
    """The agreements of a file."""

    noun = "an agreements file"

    agreements: tuple[Agreement, ...] = Field(examples=["[{name: …, provider: …}]"])

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for index, one in enumerate(self.agreements):
            for earlier, other in enumerate(self.agreements[:index]):
                if one.name == other.name:
                    raise mistake(
                        f"{one.name!r} is agreements[{earlier}] already; names are identities",
                        *("agreements", index, "name"),
                    )
                if not (one.proposed or other.proposed) and one.overlaps(other):
                    raise mistake(
                        f"covers some of the models of agreements[{earlier}] ({other.name}) at the "
                        "same time, and a dollar is rebated once; part them by models or dates, or "
                        "say `proposed: true`",
                        *("agreements", index),
                    )
        return self

    @property
    def signed(self) -> Sequence[Agreement]:
        """Those that are applied."""
        return [one for one in self.agreements if not one.proposed]


def read_agreements(path: Path) -> AgreementBook:
    """Read a file. Raises UserError: file, line, place, and what would be right."""
    return YamlFile.read(path, shape=_SHAPE).validated(AgreementBook)


def pico_of(usd: Decimal) -> int:
    """Whole pico-dollars of an amount of the file, which has at most twelve decimals."""
    return int(Fraction(usd) * _PICO)


def _truth(value: Any) -> bool:
    if value in (True, False, "true", "false"):
        return value in (True, "true")
    raise wrong(value, "write true or false")


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _alike(one: str, other: str) -> bool:
    """Whether some name matches both patterns."""
    if one.endswith("*") and other.endswith("*"):
        return one.startswith(other[:-1]) or other.startswith(one[:-1])
    return _matches(one, other) or _matches(other, one)
