"""The parts of a budget: thresholds, limits of single members, actions."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.alerts import Severity
from streams.budgets.fields import TIERS, Amount, Dimension, Names, Percent, Scope, Tier
from streams.file_model import MISSING, FileModel, mistake

WARNING_FROM, CRITICAL_FROM = 80, 100


def severity_of(percent: int) -> Severity:
    """How bad it is to reach this percentage, where the file does not say."""
    if percent >= CRITICAL_FROM:
        return "critical"
    return "warning" if percent >= WARNING_FROM else "info"


class Threshold(FileModel):
    """A percentage of the limit that raises an alert. In the file also as the bare number.

    ``channels`` are told beside those that the routes give. A ``review`` stays open until somebody
    acknowledges it.
    """

    noun = "a threshold"

    at: Percent = Field(examples=["80"])
    severity: Severity = Field(default_factory=lambda given: severity_of(given["at"]))
    channels: Names = ()
    review: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str | int):
            return {"at": value}
        if isinstance(value, dict) and "channel" in value:
            if "channels" in value:
                raise mistake("is there beside channels; keep one of them", "channel")
            value = {**value, "channels": value["channel"]}
            del value["channel"]
        return value


class MemberException(FileModel):
    """Another limit for these members of a budget's ``each``."""

    noun = "an exception"

    members: Scope = Field(examples=["{user: [ann, bob]}"])
    limit: Amount = Field(examples=["900.00"])

    @field_validator("members")
    @classmethod
    def _some(cls, value: dict[Dimension, tuple[str, ...]]) -> dict[Dimension, tuple[str, ...]]:
        if not value:
            raise mistake("is empty; write names by dimension, such as {user: [ann, bob]}")
        return value


class Action(FileModel):
    """What a gateway is told to do when this percentage is reached: use a cheaper tier, or refuse.

    It says nothing of what was served before that.
    """

    noun = "an action"

    at: Percent = Field(examples=["100"])
    do: Literal["degrade", "refuse"] = Field(examples=["refuse"])
    to: Tier | None = None

    @model_validator(mode="after")
    def _tier_belongs_to_degrade(self) -> Self:
        if self.do == "degrade" and self.to is None:
            raise mistake(f"is missing; write the tier: {', '.join(TIERS)}", "to", kind=MISSING)
        if self.do == "refuse" and self.to is not None:
            raise mistake("goes with `do: degrade`; leave it out", "to")
        return self
