"""The budgets file: YAML, validated, with one line for each mistake."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas.errors import UserError


class _TextLoader(yaml.SafeLoader):
    """Leaves numbers with a point as text: money must not become a binary float on its way in."""


_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:float"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@lru_cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


class TeamBudget(BaseModel):
    """A team's budget for every calendar month, USD, and the percentages that raise an alert."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team: Annotated[str, Field(min_length=1)]
    monthly_usd: Annotated[Decimal, Field(gt=0, max_digits=24, decimal_places=12)]
    thresholds: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = (50, 80, 100)

    @field_validator("monthly_usd", mode="before")
    @classmethod
    def _no_float(cls, value: Any) -> Any:
        if isinstance(value, bool | float):
            raise ValueError("write a decimal number, such as 1500.00")  # noqa: TRY004 - pydantic's way
        return value

    @field_validator("thresholds")
    @classmethod
    def _ascending_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value:
            raise ValueError("name at least one percentage, such as [80, 100]")
        if len(set(value)) != len(value):
            raise ValueError("each percentage once")
        return tuple(sorted(value))


class BudgetBook(BaseModel):
    """All budgets. Months are those of ``timezone`` (IANA name)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timezone: str = "UTC"
    budgets: tuple[TeamBudget, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _is_iana(cls, value: str) -> str:
        if value not in _zones():
            raise ValueError(f"{value!r} is no IANA time zone; write one such as Asia/Hong_Kong")
        return value

    @field_validator("budgets")
    @classmethod
    def _one_per_team(cls, value: tuple[TeamBudget, ...]) -> tuple[TeamBudget, ...]:
        seen: set[str] = set()
        for budget in value:
            if budget.team in seen:
                raise ValueError(f"team {budget.team!r} has two budgets; keep one")
            seen.add(budget.team)
        return value


def read_budgets(path: Path) -> BudgetBook:
    """Read and check the file. Raises UserError: file, place, what would be right."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"budgets file {path}: {error}") from None
    try:
        document = yaml.load(text, Loader=_TextLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}:{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise UserError(f"{path}:1: a mapping with `budgets:` was expected")
    try:
        return BudgetBook.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(document, first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UserError(f"{path}: {place}: {message}") from None


def _place(document: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """`budgets[2] (team search).monthly_usd`: an index alone is hard to find in a long file."""
    parts: list[str] = []
    for step in location:
        if isinstance(step, int) and parts:
            parts[-1] += f"[{step}]"
            if parts == [f"budgets[{step}]"]:
                entry = document["budgets"][step]
                if isinstance(entry, dict) and "team" in entry:
                    parts[-1] += f" (team {entry['team']})"
        else:
            parts.append(str(step))
    return ".".join(parts) or "file"
