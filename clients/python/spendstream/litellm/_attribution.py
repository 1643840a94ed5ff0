"""Who a call is for: what LiteLLM knows of its key, team, user and tags, as fields of the event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from spendstream._rules import MAX_TEXT

FIELDS = (
    *("department", "team", "project", "use_case", "application"),
    *("environment", "user", "customer", "workflow"),
)
SOURCES: Mapping[str, str] = {
    "team_alias": "user_api_key_team_alias",
    "team_id": "user_api_key_team_id",
    "user_id": "user_api_key_user_id",
    "user_email": "user_api_key_user_email",
    "end_user": "user_api_key_end_user_id",
    "key_alias": "user_api_key_alias",
    "org_alias": "user_api_key_org_alias",
    "org_id": "user_api_key_org_id",
    "project_alias": "user_api_key_project_alias",
    "project_id": "user_api_key_project_id",
}
"""Names of what LiteLLM knows of a key, and where it stands in a request's metadata."""
_OPEN_SOURCES = ("metadata", "tag", "key")
"""Of the request's own metadata, of its tags, of the metadata that its key was made with."""
STANDARD = (
    "team=team_alias|team_id, user=user_id, customer=end_user, "
    "project=project_alias|project_id, department=org_alias|org_id"
)
_SHAPE = "team=team_alias|team_id, application=key_alias, workflow=metadata.run is understood"


def clean(value: object) -> str | None:
    """The value as text that an event can hold; None where nothing is said.

    Cut to the 1,024 characters that the contract allows: the money of a call counts for more than
    the end of a long name.
    """
    if not isinstance(value, str):
        if value is None or isinstance(value, dict | list | tuple | set):
            return None
        value = str(value)
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()
    return value.strip()[:MAX_TEXT] or None


@dataclass(frozen=True, slots=True)
class Attribution:
    """``rules``: field → sources, of which the first that says something counts.

    ``defaults``: fields that none of the sources says.
    """

    rules: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, str]

    @classmethod
    def parse(cls, said: str, defaults: Mapping[str, Any]) -> Self:
        """The standard rules, with those of ``said`` in place of them. Raises ValueError."""
        return cls(_rules(STANDARD) | _rules(said), dict(defaults))

    def of(self, metadata: Mapping[str, Any]) -> dict[str, str]:
        """The fields for a request with this metadata, as LiteLLM has completed it."""
        found = dict(self.defaults)
        tags: dict[str, str] | None = None
        for field, sources in self.rules.items():
            for source in sources:
                if source.startswith("tag."):
                    tags = tags_of(metadata) if tags is None else tags
                    text = tags.get(source[4:])
                else:
                    text = _read(metadata, source)
                if text is not None:
                    found[field] = text
                    break
        return found


def tags_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """LiteLLM's tags as a map: ``step:plan`` is ``step`` → ``plan``, ``nightly`` → ``true``."""
    said = metadata.get("tags")
    found: dict[str, str] = {}
    for tag in said if isinstance(said, list | tuple) else ():
        text = clean(tag)
        if text is not None:
            name, separator, value = text.partition(":")
            if separator and name.strip() and value.strip():
                found[name.strip()] = value.strip()
            else:
                found[text] = "true"
    return found


def _read(metadata: Mapping[str, Any], source: str) -> str | None:
    if source in SOURCES:
        return clean(metadata.get(SOURCES[source]))
    where, _, name = source.partition(".")
    if where == "key":
        said = metadata.get("user_api_key_auth_metadata") or metadata.get("user_api_key_metadata")
    else:
        said = metadata.get("requester_metadata") or metadata
    return clean(said.get(name)) if isinstance(said, Mapping) else None


def _rules(said: str) -> dict[str, tuple[str, ...]]:
    rules: dict[str, tuple[str, ...]] = {}
    for part in filter(None, (part.strip() for part in said.split(","))):
        field, separator, sources = (text.strip() for text in part.partition("="))
        if not separator or not sources:
            raise ValueError(f"{part!r} names no source; {_SHAPE}")
        if field not in FIELDS:
            raise ValueError(f"{field!r} is no attribution; one of {', '.join(FIELDS)} is")
        rules[field] = tuple(_source(source.strip()) for source in sources.split("|"))
    return rules


def _source(source: str) -> str:
    where, separator, name = source.partition(".")
    if source in SOURCES or (separator and name and where in _OPEN_SOURCES):
        return source
    raise ValueError(
        f"{source!r} is no source; one of {', '.join(SOURCES)}, "
        "metadata.<name>, key.<name> or tag.<name> is"
    )
