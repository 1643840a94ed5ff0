"""What a roster file may say: teams, their users and applications, the models they call, weights.

The shipped ``roster.yaml`` is the example. Mistakes raise UserError: one line with file and place.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from schemas.errors import UserError
from schemas.usage import MAX_TEXT

MAX_USERS = 100_000
"""Longest list of users that a count may stand for: each name is made when the file is read."""
MAX_WEIGHT = 1_000_000

Name = Annotated[str, Field(strict=True, min_length=1, max_length=MAX_TEXT, pattern=r"\S")]
Weight = Annotated[StrictInt, Field(ge=1, le=MAX_WEIGHT)]


def _with_weights(value: Any) -> Any:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return value
    if len(set(value)) < len(value):
        raise ValueError("a name is listed twice; give it a weight instead, as in {name: 2}")
    return dict.fromkeys(value, 1)


Choices = Annotated[dict[Name, Weight], BeforeValidator(_with_weights), Field(min_length=1)]
UserCount = Annotated[StrictInt, Field(ge=1, le=MAX_USERS)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelEntry(_Entry):
    """A model that is called, named as the price book knows it."""

    provider: Name
    model: Name
    weight: Weight = 1


class TeamEntry(_Entry):
    """One team. ``users`` is a list of names, or how many there are; no ``models``: the file's."""

    team: Name
    department: Name
    weight: Weight = 1
    users: UserCount | Annotated[list[Name], Field(min_length=1, max_length=MAX_USERS)]
    applications: Choices
    use_cases: Choices
    environments: Choices
    models: list[ModelEntry] = []

    def user_names(self) -> tuple[str, ...]:
        """The names listed, or ``<team>-user-1`` onwards where only a count is given."""
        if isinstance(self.users, int):
            return tuple(f"{self.team}-user-{number}" for number in range(1, self.users + 1))
        return tuple(self.users)


class RosterFile(_Entry):
    """A whole roster file. ``salt`` keys the hash that deals rows to teams."""

    salt: Annotated[str, Field(strict=True, max_length=64, pattern=r"^[\x20-\x7e]*$")] = ""
    models: list[ModelEntry] = []
    teams: Annotated[list[TeamEntry], Field(min_length=1)]


def read_roster_file(path: Path | None = None) -> RosterFile:
    """Read and check a roster; None is the shipped one. Raises UserError."""
    if path is None:
        return parse_roster(files(__package__).joinpath("roster.yaml").read_bytes(), "roster.yaml")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror or error}; give a readable roster file"
        ) from error
    return parse_roster(text, str(path))


def parse_roster(text: bytes, name: str) -> RosterFile:
    """Check a roster's YAML text (UTF-8); ``name`` is the file that an error names."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise UserError(f"{where}: not YAML: {reason}") from error
    if not isinstance(document, dict):
        raise UserError(f"{name}: a roster is a mapping with the keys teams and models")
    try:
        roster = RosterFile.model_validate(document)
    except ValidationError as error:
        raise UserError(f"{name}: {_first_mistake(error)}") from error
    _check_names(roster, name)
    return roster


def _check_names(roster: RosterFile, name: str) -> None:
    seen: set[str] = set()
    for index, entry in enumerate(roster.teams):
        if entry.team in seen:
            raise UserError(
                f"{name}: teams[{index}].team: {entry.team!r} is there already; name a team once"
            )
        seen.add(entry.team)
        if not entry.models and not roster.models:
            raise UserError(
                f"{name}: teams[{index}]: {entry.team!r} has no models; "
                "list them here, or under models for every team"
            )


def _first_mistake(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ""
    for part in first["loc"]:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part.isidentifier() or "-" in part:
            place += f".{part}"
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "missing":
        message = "is required"
    elif first["type"] == "extra_forbidden":
        message = "is no key of a roster; look for a typing mistake"
    elif not isinstance(first["input"], dict | list):
        message = f"{message} (got {str(first['input'])[:60]!r})"
    return f"{place.lstrip('.')}: {message}"
