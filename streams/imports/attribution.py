"""Who pays for what was imported: fields of the row, what ``--map`` says, and ``--team``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.errors import UserError
from schemas.usage import ATTRIBUTION
from streams.file_model import known_or_nearest
from streams.imports.source import Fields, Source
from streams.imports.values import at_path, missing, text


@dataclass(frozen=True, slots=True)
class Attribution:
    """``team``: for rows that name none. ``paths``: field of the event → field of the row."""

    team: str | None = None
    paths: Mapping[str, str] = field(default_factory=dict)

    def apply(self, row: Mapping[str, Any], fields: Fields) -> Fields:
        """The fields with their attribution. A mapped field counts only where the row fills it.

        Raises InvalidEvent where no team can be told.
        """
        said = {name: text(at_path(row, path)) for name, path in self.paths.items()}
        found = {**fields, **{name: value for name, value in said.items() if value}}
        team = found.get("team") or found.get("project") or self.team
        if team is None:
            raise missing("team", "team: the row names none; say whose it is with --team or --map")
        return {**found, "team": team}


def parse_map(pairs: Iterable[str], source: Source) -> dict[str, str]:
    """``key=field`` pairs: a field of the source's rows, and the field of the event it becomes.

    Raises UserError.
    """
    paths: dict[str, str] = {}
    for pair in pairs:
        path, _, name = (part.strip() for part in pair.partition("="))
        if not path or not name:
            raise UserError(f"--map {pair}: write it as KEY=FIELD, such as project_id=team")
        if name not in ATTRIBUTION:
            raise UserError(f"--map {pair}: {name}: {known_or_nearest(name, ATTRIBUTION)}")
        if not _is_known(path, source):
            hint = known_or_nearest(path, source.attributes)
            raise UserError(f"--map {pair}: {source.name} has no {path}: {hint}")
        if name in paths:
            raise UserError(f"--map {pair}: {name} comes from {paths[name]} already; map it once")
        paths[name] = path
    return paths


def _is_known(path: str, source: Source) -> bool:
    free = tuple(name.removesuffix("*") for name in source.attributes if name.endswith(".*"))
    return path in source.attributes or (path.startswith(free) and path not in free)
