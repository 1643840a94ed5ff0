"""The tokens file: who may write over HTTP, for which teams, what their events leave out, and who
may see whose spend on the page.

It holds hashes, never tokens. A token is 32 random bytes, so that a plain SHA-256 of it cannot be
turned back by trying.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from schemas.usage import MAX_TEXT
from streams.file_model import MISSING, FileModel, mistake
from streams.yaml_file import YamlFile

Scope = Literal["events", "outcomes", "traces", "metrics", "quota", "page", "acknowledge"]
"""What a token may be used for."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
WRITING: frozenset[Scope] = frozenset({"events", "outcomes", "traces", "metrics"})
"""Scopes for which it has to be said for which teams."""
PAGE: Scope = "page"
ACKNOWLEDGE: Scope = "acknowledge"
PREFIX = "sps_"
"""So that a scanner for leaked secrets can know one, and a reader of a log."""

_SHAPE = "holds no tokens; expected a list under the key tokens, as in docs/http.md"
_NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})
_HASH = re.compile(r"[0-9a-f]{64}")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _is_hash(value: Any) -> Any:
    # What stands there may be the token itself, so the error does not show it.
    if not isinstance(value, str) or not _HASH.fullmatch(value.lower()):
        raise mistake("is no SHA-256; write its 64 hex digits, as `spendstream tokens new` does")
    return value.lower()


def _is_plain(value: Any) -> Any:
    if isinstance(value, str) and _is_pattern(value):
        raise mistake(f"is {value!r}, a pattern; write out the names that may be seen")
    return value


Name = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Names = Annotated[tuple[Annotated[Name, BeforeValidator(_is_plain)], ...], BeforeValidator(_listed)]
Patterns = Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(min_length=1)]


class Defaults(FileModel):
    """Fields of an event that are set where it leaves them out."""

    noun: ClassVar[str] = "the defaults of a token"

    provider: Name | None = None
    department: Name | None = None
    team: Name | None = None
    project: Name | None = None
    use_case: Name | None = None
    application: Name | None = None
    environment: Name | None = None
    user: Name | None = None
    customer: Name | None = None
    workflow: Name | None = None


class Sees(FileModel):
    """Whose spend is shown to the holder of a token: that of any of these."""

    noun: ClassVar[str] = "what a token sees"

    departments: Names = ()
    teams: Names = ()

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not self.departments and not self.teams:
            raise mistake(
                "names nobody; write for example `{departments: [risk]}`, or leave it out"
            )
        return self


class Token(FileModel):
    """One entry. ``teams``: names and patterns (`*`, `?`) of the teams that it may write for.

    ``sees``: on the page; without it its ``teams``, and everybody's where it has none or all.
    """

    noun: ClassVar[str] = "a token"

    name: Annotated[str, Field(min_length=1, max_length=80)] = Field(examples=["ci"])
    sha256: Annotated[str, BeforeValidator(_is_hash)] = Field(
        repr=False, examples=["<64 hex digits, from spendstream tokens new>"]
    )
    teams: Patterns = ()
    scopes: Annotated[tuple[Scope, ...], BeforeValidator(_listed), Field(min_length=1)] = (
        "events",
    )
    defaults: Defaults = Defaults()
    sees: Sees | None = None

    @model_validator(mode="after")
    def _says_for_whom_it_writes(self) -> Self:
        if not self.teams and WRITING.intersection(self.scopes):
            right = """write for example `teams: [search, "ads-*"]`"""
            raise mistake(f"is missing; {right}", "teams", kind=MISSING)
        return self

    @model_validator(mode="after")
    def _says_what_it_sees(self) -> Self:
        if PAGE not in self.scopes:
            if self.sees is not None:
                raise mistake("is of no use without the scope page; add it to scopes", "sees")
        elif self.sees is None and not self.sees_all:
            for pattern in filter(_is_pattern, self.teams):
                raise mistake(
                    f"{pattern!r} is a pattern, which the page cannot show; say with the key sees "
                    "whose spend it shows, such as `sees: {teams: [ads]}`",
                    "teams",
                )
        return self

    @model_validator(mode="after")
    def _default_team_is_one_of_its_own(self) -> Self:
        team = self.defaults.team
        if team is not None and not self.may_write_for(team):
            raise mistake(f"{team!r} is no team of this token", "defaults", "team")
        return self

    @property
    def sees_all(self) -> bool:
        """Whether everybody's spend is shown to its holder."""
        return self.sees is None and (not self.teams or "*" in self.teams)

    def may_write_for(self, team: str) -> bool:
        """Whether events of this team are accepted from it."""
        return any(fnmatchcase(team, pattern) for pattern in self.teams)

    def fields(self) -> dict[str, str]:
        """The fields that it sets where an event leaves them out."""
        given = self.defaults.model_dump(exclude_none=True)
        if len(self.teams) == 1 and not _is_pattern(self.teams[0]):
            given.setdefault("team", self.teams[0])
        return given


class Tokens(FileModel):
    """The whole file."""

    noun: ClassVar[str] = "a tokens file"

    tokens: tuple[Token, ...] = Field(examples=["[]"])

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for field in ("name", "sha256"):
            seen: dict[str, int] = {}
            for index, token in enumerate(self.tokens):
                first = seen.setdefault(getattr(token, field), index)
                if first != index:
                    raise mistake(f"is that of tokens[{first}] too", "tokens", index, field)
        return self

    def holder(self, secret: str) -> Token | None:
        """The entry of this token. Takes as long whichever it is, and where there is none."""
        digest = sha256(secret)
        found = None
        for token in self.tokens:
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found


ANYBODY = Token(name="anybody", sha256="0" * 64, teams=("*",), scopes=SCOPES)
"""Who asks where no tokens are demanded."""


def read_tokens(path: Path) -> Tokens:
    """Read and check the file. Raises UserError: file, line, place, what would be right."""
    return YamlFile.read(path, shape=_SHAPE).validated(Tokens)


def new_token() -> str:
    """A token that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def sha256(secret: str) -> str:
    """What the file holds of a token, hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def entry(
    name: str,
    secret: str,
    teams: Sequence[str],
    scopes: Sequence[str],
    sees: Mapping[str, Sequence[str]] = _NOTHING,
) -> str:
    """The lines of a token for the file, under the key `tokens`."""
    lines = [f"  - name: {_quoted(name)}", f"    sha256: {sha256(secret)}"]
    if teams:
        lines.append(f"    teams: {_quoted_list(teams)}")
    if tuple(scopes) != ("events",):
        lines.append(f"    scopes: [{', '.join(scopes)}]")
    if any(sees.values()):
        parts = [f"{kind}: {_quoted_list(names)}" for kind, names in sees.items() if names]
        lines.append(f"    sees: {{{', '.join(parts)}}}")
    return "\n".join(lines)


def _is_pattern(name: str) -> bool:
    return bool(set(name) & set("*?["))


def _quoted_list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    """As YAML, in quotes where it could be read as something else."""
    plain = re.fullmatch(r"[A-Za-z][\w-]*", text, re.ASCII)
    return text if plain else "'" + text.replace("'", "''") + "'"
