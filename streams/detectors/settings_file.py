"""The detectors file: what is far too much, and who may call which models.

Everything has a default. Without a file every detector is on but access, which needs rules, and
unattributed, which has to be asked for. A
detector is left out by ``off``: `anomaly: off`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, field_validator, model_validator

from streams.detectors.access_rules import DEFAULT_TIERS, AccessRules, Patterns, check_tiers
from streams.file_model import FileModel, mistake, wrong
from streams.yaml_file import YamlFile

SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=1)
_DURATION = re.compile(r"([1-9]\d{0,3}) ?(m|min|h)")
_DECIMAL = re.compile(r"\d+(\.\d+)?")
_SHAPE = "a mapping was expected, such as `runaway: {calls: 5000}`; see examples/detectors.yaml"


def _decimal(value: Any) -> Any:
    if isinstance(value, float | bool) or (
        isinstance(value, str) and not _DECIMAL.fullmatch(value)
    ):
        raise wrong(value, "write a plain decimal number, such as 50 or 2.5")
    return value


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if (found := _DURATION.fullmatch(value.strip())) is None:
        raise wrong(value, "write a whole number of minutes or hours, such as 30m or 1h")
    within = int(found[1]) * timedelta(minutes=60 if found[2] == "h" else 1)
    if not SHORTEST <= within <= LONGEST:
        raise wrong(value, "write something from 5m to 24h")
    return within


def _on_or_off(value: Any) -> Any:
    """What stands for a detector: its settings, `off`, or `on` and nothing for the defaults."""
    word = "" if value is None else value.casefold() if isinstance(value, str) else None
    if word in {"off", "false", "no"}:
        return None
    return {} if word in {"", "on", "true", "yes"} else value


Amount = Annotated[
    Decimal, BeforeValidator(_decimal), Field(gt=0, max_digits=24, decimal_places=12)
]
Factor = Annotated[Decimal, BeforeValidator(_decimal), Field(gt=1, le=1000, decimal_places=3)]
Percent = Annotated[Decimal, BeforeValidator(_decimal), Field(gt=0, le=100, decimal_places=3)]
Tokens = Annotated[int, Field(ge=0, le=10**12)]
Calls = Annotated[int, Field(ge=1, le=10**12)]


class RunawayRule(FileModel):
    """What one workflow may call and spend within a while."""

    noun: ClassVar[str] = "runaway"

    calls: Calls = 2000
    cost: Amount = Decimal(50)
    """USD."""
    within: Annotated[timedelta, BeforeValidator(_duration)] = timedelta(hours=1)
    ignore: Patterns = ()
    """Workflows and applications that are meant to run like this; `*` stands for anything."""


class BloatRule(FileModel):
    """When the input of a call is far above its use case's norm."""

    noun: ClassVar[str] = "context_bloat"

    factor: Factor = Decimal(3)
    min_calls: Calls = 50
    """Calls within a quarter of an hour; fewer say nothing."""
    min_tokens: Tokens = 4000
    """Input tokens of a call; less is never bloat."""
    baseline_days: Annotated[int, Field(ge=2, le=28)] = 7


class AnomalyRule(FileModel):
    """When an hour's spend is far above the same hour of past weeks."""

    noun: ClassVar[str] = "anomaly"

    factor: Factor = Decimal(3)
    min_excess: Amount = Decimal(5)
    """USD an hour above what is expected; less is not worth an alert."""
    weeks: Annotated[int, Field(ge=1, le=8)] = 4
    min_weeks: Annotated[int, Field(ge=1, le=8)] = 2

    @model_validator(mode="after")
    def _enough_weeks(self) -> Self:
        if self.min_weeks > self.weeks:
            raise mistake(f"is more than weeks, {self.weeks}", "min_weeks")
        return self


Dimension = Literal[
    "department",
    "project",
    "use_case",
    "application",
    "environment",
    "user",
    "customer",
    "workflow",
]


class UnattributedRule(FileModel):
    """How much of a day's cost may lack an attribution."""

    noun: ClassVar[str] = "unattributed"

    dimensions: tuple[Dimension, ...] = ("application",)
    limit_percent: Percent = Decimal(5)
    min_cost: Amount = Decimal(10)
    """USD of a day without an attribution; less is not worth an alert."""

    @field_validator("dimensions")
    @classmethod
    def _some_and_each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise mistake("is empty; name at least one, or write `unattributed: off`")
        for number, name in enumerate(value):
            if name in value[:number]:
                raise mistake(f"{name} is named twice; keep one", number)
        return value


R = TypeVar("R", bound=FileModel)
OrOff = Annotated[R | None, BeforeValidator(_on_or_off)]


class Detectors(FileModel):
    """What is watched beside budgets and storms. None: that detector is off."""

    noun: ClassVar[str] = "the detectors file"

    runaway: OrOff[RunawayRule] = RunawayRule()
    context_bloat: OrOff[BloatRule] = BloatRule()
    anomaly: OrOff[AnomalyRule] = AnomalyRule()
    unattributed: OrOff[UnattributedRule] = None
    """Off until it is named: only the organisation knows what every call should say."""
    tiers: dict[str, Patterns] = DEFAULT_TIERS
    """Tier to patterns of `provider/model`, in any case. The first tier that has a pattern that
    matches is the model's, in the order of the file."""
    access: AccessRules = AccessRules()

    @field_validator("tiers")
    @classmethod
    def _of_provider_and_model(cls, value: dict[str, Patterns]) -> dict[str, Patterns]:
        for tier, patterns in value.items():
            for number, pattern in enumerate(patterns):
                if "/" not in pattern and not pattern.startswith("*"):
                    right = f"`*/{pattern}`"
                    raise mistake(
                        f"{pattern!r} would match nothing: a pattern is of provider/model, such "
                        f"as {right}",
                        tier,
                        number,
                    )
        return value

    @model_validator(mode="after")
    def _tiers_are_known(self) -> Self:
        check_tiers(self.access, self.tiers)
        return self


def read_detectors(path: Path) -> Detectors:
    """Read and check the file. Raises UserError: file and line, what, what would be right."""
    return YamlFile.read(path, shape=_SHAPE).validated(Detectors)
