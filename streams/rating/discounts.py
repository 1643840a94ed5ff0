"""Discounts and uplifts of ``prices.yaml``: percentages off, or on top of, the list price.

At most one discount and one uplift apply to a list price, each the most specific that matches, and
the price is multiplied by both, exactly: (1 - discount) times (1 + uplift), in either order. They
never touch an absolute price of the file.

More specific, in this order: a model's whole name over a pattern over none (of two patterns the
longer one; the name of the call before the list's name for it), then a service tier over none, then
a region over none, then a provider named as the call names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from streams.file_model import FileModel, mistake
from streams.rating.cards import Decision, RateCard
from streams.rating.fields import Instant, Name, Tier, day_or_minute, quoted

_PERCENT = re.compile(r"\d{1,4}(\.\d{1,6})?")
_MOST_UPLIFT = 1000

Scope = tuple[str, str | None, str | None, str | None]
"""Provider, model or pattern, service tier, region; None: any."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a price is asked for. All in lower case: ``provider`` and ``model`` as the call names
    them, and as the list does.
    """

    provider: str
    model: str
    listed_provider: str
    listed_model: str
    service_tier: str
    region: str | None


def _percent(value: Any) -> Decimal:
    if not isinstance(value, str) or not _PERCENT.fullmatch(value) or Decimal(value) == 0:
        raise PydanticCustomError(
            "percent",
            "is {value}; a percentage above 0 without a sign, such as 12.5, at most 6 decimals; "
            "what lowers a price stands under discounts, what raises it under uplifts",
            {"value": quoted(value)},
        )
    return Decimal(value)


def _model(value: Any) -> str:
    name = str(value).strip().lower() if isinstance(value, str) else ""
    if not name or name == "*" or "*" in name[:-1]:
        raise PydanticCustomError(
            "model",
            "is {value}; a model's name, or its beginning and a * such as gpt-4o*; "
            "leave the line out for every model",
            {"value": quoted(value)},
        )
    return name


Percent = Annotated[Decimal, BeforeValidator(_percent)]


class PriceChange(FileModel):
    """A percentage on the list prices of a provider, from ``effective_from`` (UTC) on, until
    ``effective_until`` or the next one of the same scope. Without ``model``, ``service_tier`` or
    ``region`` it holds for every one.
    """

    sign: ClassVar[str]
    provider: Name = Field(examples=["openai"])
    model: Annotated[str, BeforeValidator(_model)] | None = None
    service_tier: Tier | None = None
    region: Name | None = None
    percent: Percent = Field(examples=["12.5"])
    effective_from: Instant = Field(examples=["2026-01-01"])
    effective_until: Instant | None = None
    who: str | None = None
    why: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.effective_until is not None and self.effective_until <= self.effective_from:
            raise mistake("is not after effective_from", "effective_until")
        return self

    @property
    def scope(self) -> Scope:
        """What it holds for."""
        return self.provider, self.model, self.service_tier, self.region

    @property
    def factor(self) -> Fraction:
        """What the list price is multiplied by."""
        return 1 + Fraction(f"{self.sign}{self.percent}") / 100

    @property
    def words(self) -> str:
        """As a price reference has it: ``-12.5 % batch eu from 2026-01-01``."""
        named = "".join(f" {name}" for name in (self.service_tier, self.region) if name)
        percent = f"{self.sign}{self.percent.normalize():f}"
        return f"{percent} %{named} from {day_or_minute(self.effective_from)}"

    def rank(self, asked: Asked, card_tier: str) -> tuple[int, ...] | None:
        """How specific it is for this, higher first; None: it does not match.

        ``card_tier``: the tier whose list price it is, which may stand in for the one asked for.
        """
        if self.provider not in (asked.provider, asked.listed_provider):
            return None
        if self.region not in (None, asked.region):
            return None
        if self.service_tier not in (None, asked.service_tier, card_tier):
            return None
        model = self._model_rank(asked)
        if model is None:
            return None
        tier = 0 if self.service_tier is None else 1 + (self.service_tier == asked.service_tier)
        return *model, tier, int(self.region is not None), int(self.provider == asked.provider)

    def _model_rank(self, asked: Asked) -> tuple[int, int] | None:
        if self.model is None:
            return 0, 0
        if self.model.endswith("*"):
            prefix = self.model[:-1]
            for kind, name in ((2, asked.model), (1, asked.listed_model)):
                if name.startswith(prefix):
                    return kind, len(prefix)
            return None
        names = {asked.listed_model: 3} | {asked.model: 4}
        return (names[self.model], 0) if self.model in names else None


class Discount(PriceChange):
    """Less than the list price: above 0 and below 100 percent."""

    noun = "a discount"
    sign = "-"

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.percent >= 100:
            raise mistake(f"is '{self.percent}'; below 100", "percent")
        return self


class Uplift(PriceChange):
    """More than the list price, as regional endpoints cost: above 0, at most 1000 percent."""

    noun = "an uplift"
    sign = "+"

    @model_validator(mode="after")
    def _is_no_typo(self) -> Self:
        if self.percent > _MOST_UPLIFT:
            raise mistake(f"is '{self.percent}'; at most {_MOST_UPLIFT}", "percent")
        return self


def check_each_once(key: str, changes: Sequence[PriceChange]) -> None:
    """Raise the mistake of two that are equally specific at the same time, at ``key``."""
    latest: dict[Scope, int] = {}
    for index in sorted(range(len(changes)), key=lambda index: changes[index].effective_from):
        change = changes[index]
        before = latest.get(change.scope)
        if before is not None:
            earlier = changes[before]
            if earlier.effective_from == change.effective_from:
                first, second = sorted((before, index))
                raise mistake(
                    "the same provider, model, service_tier, region and effective_from as "
                    f"{key}[{first}]; keep one of them",
                    *(key, second),
                )
            if earlier.effective_until and earlier.effective_until > change.effective_from:
                raise mistake(
                    f"begins before {key}[{before}] of the same provider, model, service_tier and "
                    f"region ends on {day_or_minute(earlier.effective_until)}; leave that end out, "
                    "or let it end before",
                    *(key, index),
                )
        latest[change.scope] = index


C = TypeVar("C", bound=PriceChange)


@dataclass(frozen=True)
class _Changes(Generic[C]):
    """Changes of one kind, whatever their order."""

    changes: tuple[C, ...]

    @cached_property
    def _with_ends(self) -> list[tuple[C, datetime | None]]:
        found: list[tuple[C, datetime | None]] = []
        following: dict[Scope, datetime] = {}
        for change in sorted(self.changes, key=lambda one: one.effective_from, reverse=True):
            ends = (change.effective_until, following.get(change.scope))
            found.append((change, min((end for end in ends if end), default=None)))
            following[change.scope] = change.effective_from
        return found

    def best(self, asked: Asked, card_tier: str, at: datetime) -> C | None:
        ranked = [
            (rank, change)
            for change, end in self._with_ends
            if change.effective_from <= at and (end is None or at < end)
            if (rank := change.rank(asked, card_tier)) is not None
        ]
        return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


class PriceChanges:
    """The discounts and uplifts of a file, whose name goes into the references."""

    def __init__(
        self, file: str, discounts: Iterable[Discount] = (), uplifts: Iterable[Uplift] = ()
    ) -> None:
        self._file = file
        self._discounts = _Changes(tuple(discounts))
        self._uplifts = _Changes(tuple(uplifts))

    def __iter__(self) -> Iterator[PriceChange]:
        yield from self._discounts.changes
        yield from self._uplifts.changes

    def instants(self, providers: Iterable[str]) -> list[datetime]:
        """When changes of these providers begin or end."""
        edges = [
            (change.effective_from, change.effective_until)
            for change in self
            if change.provider in set(providers)
        ]
        return [at for edge in edges for at in edge if at is not None]

    def applied(self, card: RateCard | None, asked: Asked, at: datetime) -> RateCard | None:
        """A card of the list with what applies at ``at``. Raises ValueError as `RateCard.of`.

        One that names the tier that was asked for makes the card that tier's.
        """
        if card is None:
            return None
        best = (
            self._discounts.best(asked, card.service_tier, at),
            self._uplifts.best(asked, card.service_tier, at),
        )
        found = [change for change in best if change is not None]
        if not found:
            return card
        factor = Fraction(1)
        for change in found:
            factor *= change.factor
        own = any(change.service_tier == asked.service_tier for change in found)
        words = ", ".join(change.words for change in found)
        decisions = tuple(Decision(one.words, one.who, one.why, one.note) for one in found)
        return replace(
            card.times(factor),
            price_ref=f"{card.price_ref}, {self._file} {words}",
            service_tier=asked.service_tier if own else card.service_tier,
            source=replace(
                card.source, name=f"{card.source.name}, {self._file}", decisions=decisions
            ),
        )
