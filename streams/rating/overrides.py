"""Price overrides: a YAML file with negotiated, regional or private prices, dated like the list's.

A price applies from ``effective_from`` until the next one of the same provider, model, service
tier and region. What one may hold is in `streams.rating.override_model`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import ValidationError

from schemas.errors import UserError
from streams.rating.cards import RateCard
from streams.rating.override_model import Override, Strict, TierPrice

_SCHEMA_HINT = "a list under the key prices, as in examples/prices.yaml"


class _File(Strict):
    prices: tuple[Override, ...]


@dataclass(frozen=True)
class Overrides:
    """The prices of a file, ``name`` without folders; ``digest`` tells two versions of it apart."""

    name: str = ""
    digest: str = ""
    prices: tuple[Override, ...] = field(default=())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file. Raises UserError: one line with the file, the place and what is wrong."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            raw = yaml.load(content, Loader=_TextLoader)  # noqa: S506 - a BaseLoader: text only
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
            raise UserError(f"{path}: {where}: no valid YAML: {error.problem}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from None
        if not isinstance(raw, dict):
            raise UserError(f"{path}: holds no prices; expected {_SCHEMA_HINT}")
        try:
            file = _File.model_validate(raw)
        except ValidationError as error:
            raise UserError(f"{path}: {_one_line(error, raw)}") from None
        seen: dict[object, int] = {}
        for index, price in enumerate(file.prices):
            first = seen.setdefault((price.key, price.effective_from), index)
            if first != index:
                raise UserError(
                    f"{path}: {_place(index, raw)}: the same provider, model, service_tier, "
                    f"region and effective_from as prices[{first}]; keep one of them"
                )
        return cls(path.name, hashlib.sha256(content).hexdigest()[:8], file.prices)

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


class _TextLoader(yaml.BaseLoader):
    """Every scalar as the text that it is, and a key only once per mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is no plain name", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _place(index: object, raw: dict[str, Any]) -> str:
    item = raw["prices"][index]
    if isinstance(item, dict) and "provider" in item and "model" in item:
        return f"prices[{index}] ({item['provider']}/{item['model']})"
    return f"prices[{index}]"


_EXPECTED = {
    "missing": "is missing",
    "extra_forbidden": "is no field of a price; known are " + ", ".join(Override.model_fields),
    "literal_error": "is no service tier; one of standard, batch, flex, priority",
    "model_type": "is no mapping of fields",
    "tuple_type": "is no list",
}


def _one_line(error: ValidationError, raw: dict[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    head, *rest = first["loc"] or ("",)
    if not rest:
        return f"{head or 'the file'} {_EXPECTED.get(first['type'], '')}; expected {_SCHEMA_HINT}"
    index, *fields = rest
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in fields]
    message = _EXPECTED.get(first["type"], first["msg"])
    if first["type"] == "missing" and fields[-1:] == ["effective_from"]:
        message += "; a UTC date such as 2026-10-01"
    if first["type"] == "extra_forbidden" and len(fields) > 1:
        message = "is no field of a tier; known are " + ", ".join(TierPrice.model_fields)
    return f"{_place(index, raw)}: {''.join(parts).lstrip('.')} {message}".replace(":  ", ": ")
