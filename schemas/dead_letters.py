"""Dead letters: a refused record as it came, and the lines of its audit trail."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Status = Literal["open", "replayed", "dropped"]
ActionKind = Literal["replaying", "replayed", "dropped"]

_LATEST_MS = 7_258_118_400_000
"""The year 2200: a producer may write any number as time, and ClickHouse's end in 2299."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A refused record as it came: exact bytes, where it stood, and why it was refused."""

    source: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    appended_at: datetime | None
    """Time of the record, UTC, to the millisecond; None where it has none that is one."""
    reason: str
    detail: str

    @property
    def letter(self) -> str:
        """Its id, the same whoever finds it: 16 hex digits of SHA-256 over where it stood."""
        place = json.dumps([self.source, self.partition, self.offset])
        return hashlib.sha256(place.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Action:
    """One line of the audit trail: what was done about a letter. ``at`` is UTC.

    ``sha256`` is of the value that was sent; ``source`` and ``partition`` are where to; ``offset``
    is where that partition ended before (replaying), or where the event stands now (replayed).
    """

    letter: str
    action: ActionKind
    at: datetime
    who: str
    note: str = ""
    sha256: str = ""
    edited: bool = False
    source: str = ""
    partition: int | None = None
    offset: int | None = None


def record_time(milliseconds: int) -> datetime | None:
    """A record's timestamp (milliseconds since 1970) as UTC; None where it is no such time."""
    if not 0 <= milliseconds < _LATEST_MS:
        return None
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(
        microsecond=milliseconds % 1000 * 1000
    )
