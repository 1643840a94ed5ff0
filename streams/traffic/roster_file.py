"""What a roster file may say: teams, their users and applications, the models they call, weights.

The shipped ``roster.yaml`` is the example. Mistakes raise UserError: one line with file and place.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from schemas.usage import MAX_TEXT
from streams.file_model import FileModel, mistake
from streams.yaml_file import YamlFile

MAX_USERS = 100_000
"""Longest list of users that a count may stand for: each name is made when the file is read."""
MAX_WEIGHT = 1_000_000

_SHAPE = "a roster is a mapping with the keys teams and models"
_LABEL = ("team",)

Name = Annotated[str, Field(strict=True, min_length=1, max_length=MAX_TEXT, pattern=r"\S")]
Weight = Annotated[int, Field(ge=1, le=MAX_WEIGHT)]


def _with_weights(value: Any) -> Any:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return value
    if len(set(value)) < len(value):
        raise mistake("a name is listed twice; give it a weight instead, as in {name: 2}")
    return dict.fromkeys(value, 1)


Choices = Annotated[dict[Name, Weight], BeforeValidator(_with_weights), Field(min_length=1)]
UserCount = Annotated[int, Field(ge=1, le=MAX_USERS)]


class ModelEntry(FileModel):
    """A model that is called, named as the price book knows it."""

    noun = "a model"

    provider: Name
    model: Name
    weight: Weight = 1


class TeamEntry(FileModel):
    """One team. ``users`` is a list of names, or how many there are; no ``models``: the file's."""

    noun = "a team"

    team: Name
    department: Name
    weight: Weight = 1
    users: UserCount | Annotated[list[Name], Field(min_length=1, max_length=MAX_USERS)]
    applications: Choices
    use_cases: Choices
    environments: Choices
    models: list[ModelEntry] = Field(default_factory=list)

    def user_names(self) -> tuple[str, ...]:
        """The names listed, or ``<team>-user-1`` onwards where only a count is given."""
        if isinstance(self.users, int):
            return tuple(f"{self.team}-user-{number}" for number in range(1, self.users + 1))
        return tuple(self.users)


class RosterFile(FileModel):
    """A whole roster file. ``salt`` keys the hash that deals rows to teams."""

    noun = "a roster"

    salt: Annotated[str, Field(strict=True, max_length=64, pattern=r"^[\x20-\x7e]*$")] = ""
    models: list[ModelEntry] = Field(default_factory=list)
    teams: Annotated[list[TeamEntry], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: set[str] = set()
        for index, entry in enumerate(self.teams):
            if entry.team in seen:
                raise mistake(
                    f"{entry.team!r} is there already; name a team once", "teams", index, "team"
                )
            seen.add(entry.team)
            if not entry.models and not self.models:
                raise mistake(
                    f"{entry.team!r} has no models; list them here, or under models for every team",
                    *("teams", index),
                )
        return self


def read_roster_file(path: Path | None = None) -> RosterFile:
    """Read and check a roster; None is the shipped one. Raises UserError."""
    if path is None:
        return parse_roster(files(__package__).joinpath("roster.yaml").read_bytes(), "roster.yaml")
    return YamlFile.read(path, shape=_SHAPE, label=_LABEL).validated(RosterFile)


def parse_roster(text: bytes, name: str) -> RosterFile:
    """Check a roster's YAML text (UTF-8); ``name`` is the file that an error names."""
    return YamlFile(text, name, shape=_SHAPE, label=_LABEL).validated(RosterFile)
