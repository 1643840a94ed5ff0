"""Price overrides: a YAML file with negotiated, regional or private prices, dated like the list's.

A price applies from ``effective_from`` until the next one of the same provider, model, service
tier and region. What one may hold is in `streams.rating.override_model`; the percentages on list
prices beside them are in `streams.rating.discounts`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import model_validator

from schemas.errors import UserError
from streams.file_model import FileModel, mistake
from streams.rating.cards import RateCard
from streams.rating.discounts import Discount, PriceChanges, Uplift, check_each_once
from streams.rating.override_model import Override
from streams.yaml_file import YamlFile

_SHAPE = "holds no prices; expected a list under the key prices, as in examples/prices.yaml"


class _File(FileModel):
    noun = "a price file"

    prices: tuple[Override, ...] = ()
    discounts: tuple[Discount, ...] = ()
    uplifts: tuple[Uplift, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen: dict[object, int] = {}
        for index, price in enumerate(self.prices):
            first = seen.setdefault((price.key, price.effective_from), index)
            if first != index:
                raise mistake(
                    "the same provider, model, service_tier, region and effective_from as "
                    f"prices[{first}]; keep one of them",
                    *("prices", index),
                )
        check_each_once("discounts", self.discounts)
        check_each_once("uplifts", self.uplifts)
        return self


@dataclass(frozen=True)
class Overrides:
    """The prices of a file, ``name`` without folders; ``digest`` tells two versions of it apart.

    ``file``: what it was read from, to name the line of a mistake that only the list shows.
    """

    name: str = ""
    digest: str = ""
    prices: tuple[Override, ...] = field(default=())
    discounts: tuple[Discount, ...] = ()
    uplifts: tuple[Uplift, ...] = ()
    file: YamlFile | None = field(default=None, repr=False, compare=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file. Raises UserError: file, line, place, and what would be right."""
        file = YamlFile.read(path, shape=_SHAPE, label=("provider", "model"))
        digest = hashlib.sha256(file.content).hexdigest()[:8]
        read = file.validated(_File)
        return cls(path.name, digest, read.prices, read.discounts, read.uplifts, file)

    def __bool__(self) -> bool:
        return bool(self.prices or self.discounts or self.uplifts)

    def error(self, key: str, index: int, message: str) -> UserError:
        """The error that says this of an entry: `prices[3]`, `discounts[0]`."""
        if self.file is None:
            return UserError(f"{self.name}: {key}[{index}]: {message}")
        return self.file.error((key, index), message)

    @cached_property
    def changes(self) -> PriceChanges:
        """The discounts and uplifts."""
        return PriceChanges(self.name, self.discounts, self.uplifts)

    @cached_property
    def _by_key(self) -> dict[tuple[str, str, str, str | None], list[Override]]:
        found: dict[tuple[str, str, str, str | None], list[Override]] = {}
        for price in sorted(self.prices, key=lambda price: price.effective_from):
            found.setdefault(price.key, []).append(price)
        return found

    def of_model(self, provider: str, model: str) -> list[Override]:
        """Every price of that model, exact name in any case, all tiers, regions and dates."""
        names = (provider.lower(), model.lower())
        return [price for price in self.prices if (price.provider, price.model) == names]

    def card(
        self, provider: str, model: str, service_tier: str, region: str | None, at: datetime
    ) -> RateCard | None:
        """The card that holds at ``at`` for that very tier: the region's own, else any region's."""
        for where in dict.fromkeys((region.lower() if region else None, None)):
            prices = self._by_key.get((provider.lower(), model.lower(), service_tier, where), [])
            for price in reversed(prices):
                if price.effective_from <= at:
                    return price.card(self.name)
        return None
