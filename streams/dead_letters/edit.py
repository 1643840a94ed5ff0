"""Mending a letter: other bytes as a whole, or other fields of what its bytes hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from schemas.batch import usage_frame_schema
from schemas.errors import InvalidEvent, SpendstreamError, UserError
from schemas.wire import SchemaLookup, decode_fields, framing_of

_TEXT = (pl.String(), pl.Datetime("us", "UTC"))
"""Fields of these types are taken as they are typed: `--set user=007` is a name, no number."""


class CannotEdit(SpendstreamError):
    """This letter cannot be mended in this way; another one may."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What is changed before a letter is sent. Empty: it is sent as it came."""

    value: bytes | None = None
    """Sent instead of what came."""
    assigned: Mapping[str, Any] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    def apply(self, original: bytes | None, lookup: SchemaLookup) -> bytes | None:
        """The bytes to send. Raises CannotEdit, and what ``lookup`` raises.

        Edited fields make a bare JSON event, whatever framing they came in.
        """
        if self.value is not None:
            return self.value
        if not self.assigned and not self.removed:
            return original
        try:
            framing = framing_of(original, lookup)
            assert original is not None  # noqa: S101 - framing_of refused it otherwise
            fields = dict(decode_fields(original, framing))
        except InvalidEvent as error:
            raise CannotEdit(
                f"its fields cannot be read ({error.refusal.code}): give all its bytes by --value"
            ) from error
        absent = [name for name in self.removed if name not in fields]
        if absent:
            raise CannotEdit(f"it has no field {absent[0]!r} to remove")
        kept = {name: value for name, value in fields.items() if name not in self.removed}
        return as_json(kept | dict(self.assigned))


def parse_edit(
    assignments: Sequence[str] = (), removed: Sequence[str] = (), value: bytes | None = None
) -> Edit:
    """The edit of the flags `--set field=value`, `--unset field`, `--value`. Raises UserError."""
    if value is not None and (assignments or removed):
        raise UserError("--value gives all bytes: it goes without --set and --unset")
    types = usage_frame_schema()
    assigned: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {assignment}: write field=value, such as team=search")
        if name not in types:
            raise UserError(f"--set {name}: a usage event has no such field; see docs/events.md")
        if name in assigned or name in removed:
            raise UserError(f"{name} is set twice, or set and unset: say what it is to be")
        assigned[name] = text if types[name] in _TEXT else _json_or_text(text)
    return Edit(value, assigned, tuple(dict.fromkeys(removed)))


def as_json(fields: Mapping[str, Any]) -> bytes:
    """Fields as a bare JSON event, without those that are null."""
    known = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(known, default=_plain, ensure_ascii=False).encode()


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
