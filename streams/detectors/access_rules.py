"""Who may call models of which tier, as the detectors file says it, and what that means for a call.

The first rule that matches a call decides. A role is a list of users.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, model_validator

from streams.file_model import FileModel, known_or_nearest, mistake

NO_RULE = "default"
UNKNOWN = "unknown"
"""The tier of a model that is in none; no tier may be called so."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Patterns = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_listed),
]
"""One pattern or several: `*` stands for any text, `?` for any character."""

DEFAULT_TIERS: dict[str, tuple[str, ...]] = {
    "cost-optimised": (
        "*-mini*", "*-nano*", "*-micro*", "*-lite*", "*-small*", "*haiku*", "*ministral*",
        "*-8b*", "*/deepseek-chat*",
    ),
    "frontier": (
        "*/gpt-5*", "*/gpt-6*", "*/o1*", "*/o3*", "*claude*opus*", "*claude*fable*",
        "*claude*mythos*", "*/gemini-*-pro*", "*/grok-4*", "*/mistral-large*",
    ),
    "balanced": (
        "*/gpt-4*", "*claude*sonnet*", "*/gemini-*flash*", "*/mistral-medium*", "*/deepseek*",
        "*/grok-3*",
    ),
}  # fmt: skip
"""Families by their names. Small ones come first: `gpt-5-mini` is no frontier model."""


class Role(FileModel):
    """Some users."""

    noun: ClassVar[str] = "a role"

    users: Patterns = Field(examples=["[ana, 'intern-*']"])


class AccessRule(FileModel):
    """The tiers that are allowed where all that it names matches; nothing named is everybody."""

    noun: ClassVar[str] = "an access rule"

    name: Annotated[str, Field(min_length=1, max_length=80)] = ""
    """What its alerts call it; when left out, what it matches."""
    role: Patterns = ()
    department: Patterns = ()
    team: Patterns = ()
    project: Patterns = ()
    use_case: Patterns = ()
    application: Patterns = ()
    environment: Patterns = ()
    user: Patterns = ()
    tiers: Patterns = Field(examples=["[balanced, cost-optimised]"])

    @property
    def conditions(self) -> dict[str, tuple[str, ...]]:
        """What it names, the role left out."""
        return {name: patterns for name in CONDITIONS if (patterns := getattr(self, name))}

    @property
    def matches(self) -> dict[str, tuple[str, ...]]:
        """Everything that it names."""
        return ({"role": self.role} if self.role else {}) | self.conditions

    @property
    def title(self) -> str:
        """Its name: `team research, environment production` where it has none."""
        parts = (f"{name} {' or '.join(p)}" for name, p in self.matches.items())
        return self.name or ", ".join(parts) or "everyone"


CONDITIONS = (
    "department",
    "team",
    "project",
    "use_case",
    "application",
    "environment",
    "user",
)


class AccessRules(FileModel):
    """The rules, and what holds where they say nothing."""

    noun: ClassVar[str] = "access"

    default: Literal["allow", "deny"] = "allow"
    """For calls that no rule matches."""
    unknown_models: Literal["allow", "deny"] = "allow"
    """For models that are in no tier, whatever the rules say."""
    roles: dict[str, Role] = Field(default_factory=dict)
    rules: tuple[AccessRule, ...] = ()

    @model_validator(mode="after")
    def _each_can_be_reached(self) -> Self:
        for number, rule in enumerate(self.rules):
            for earlier, other in enumerate(self.rules[:number]):
                if not other.matches or other.matches == rule.matches:
                    whom = "the same calls" if other.matches else "everyone"
                    message = f"is never asked: rules[{earlier}] is for {whom}"
                    raise mistake(f"{message}; remove it, or put it first", "rules", number)
                if other.title == rule.title:
                    message = f"is called {rule.title!r} like rules[{earlier}]; name it anew"
                    raise mistake(message, "rules", number)
            for place, role in enumerate(rule.role):
                if role not in self.roles:
                    near = known_or_nearest(role, self.roles) if self.roles else "there are none"
                    raise mistake(f"{role!r} is no role; {near}", "rules", number, "role", place)
        return self


def check_tiers(access: AccessRules, tiers: Iterable[str]) -> None:
    """Raise a mistake for a rule that allows a tier which does not exist."""
    if UNKNOWN in tiers:
        raise mistake("is what models in no tier have; call it otherwise", "tiers", UNKNOWN)
    for number, rule in enumerate(access.rules):
        for place, tier in enumerate(rule.tiers):
            if tier not in tiers:
                near = known_or_nearest(tier, tiers)
                raise mistake(
                    f"{tier!r} is no tier; {near}", "access", "rules", number, "tiers", place
                )


class Violation(NamedTuple):
    """What forbids a call: the name of the rule, and the tier of the model."""

    rule: str
    tier: str


class AccessPolicy:
    """Decides calls by the rules."""

    def __init__(self, access: AccessRules, tiers: Mapping[str, tuple[str, ...]]) -> None:
        self._access = access
        self._tiers = {
            tier: tuple(p.casefold() for p in patterns) for tier, patterns in tiers.items()
        }

    @property
    def forbids_something(self) -> bool:
        """False where every call is allowed."""
        access = self._access
        return bool(access.rules) or "deny" in {access.default, access.unknown_models}

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What has to be known of a call to decide it, beside user, provider and model."""
        asked = {name for rule in self._access.rules for name in rule.conditions}
        return tuple(name for name in CONDITIONS if name in asked)

    def tier_of(self, provider: str, model: str) -> str | None:
        """The tier of a model; None where it is in none."""
        name = f"{provider}/{model}".casefold()
        return next(
            (tier for tier, patterns in self._tiers.items() if _matches(name, patterns)), None
        )

    def violation(self, call: Mapping[str, str | None]) -> Violation | None:
        """What forbids a call with these attributes; None where it is allowed."""
        access = self._access
        tier = self.tier_of(str(call["provider"]), str(call["model"]))
        if tier is None:
            denied = access.unknown_models == "deny"
            return Violation("unknown models", UNKNOWN) if denied else None
        for rule in access.rules:
            if self._is_for(rule, call):
                return None if tier in rule.tiers else Violation(rule.title, tier)
        return Violation(NO_RULE, tier) if access.default == "deny" else None

    def _is_for(self, rule: AccessRule, call: Mapping[str, str | None]) -> bool:
        if rule.role and not any(
            _matches(call["user"], self._access.roles[role].users) for role in rule.role
        ):
            return False
        return all(_matches(call[name], patterns) for name, patterns in rule.conditions.items())


def _matches(value: str | None, patterns: tuple[str, ...]) -> bool:
    return value is not None and any(fnmatchcase(value, pattern) for pattern in patterns)
