"""Dead letters in ClickHouse: refused records byte for byte, and the audit trail of each.

The archive sink writes them, before the progress that covers them. Nothing is ever changed or
deleted: what is done about a letter is a row of `dead_letter_actions`.
"""

from __future__ import annotations

import uuid
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from schemas.dead_letters import Action, ActionKind, Letter, Status
from sinks.clickhouse import ClickHouse, arrow_table

INSERT_BYTES = 16_777_216
"""Of values, per insert: a run of large letters must not become one body."""
ASKED_AT_ONCE = 500
"""Ids in one query."""
KEYS_SHOWN = 3

_LETTERS = pa.schema(
    [
        ("letter", pa.string()),
        ("source", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
        ("appended_at", pa.timestamp("ms", "UTC")),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("landed_at", pa.timestamp("ms", "UTC")),
    ]
)
_ACTIONS = pa.schema(
    [
        ("letter", pa.string()),
        ("action", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("who", pa.string()),
        ("note", pa.string()),
        ("sha256", pa.string()),
        ("edited", pa.bool_()),
        ("source", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter without its bytes, and how it stands. Times are UTC; ``size`` None: no value."""

    letter: str
    source: str
    partition: int
    offset: int
    key: bytes | None
    appended_at: datetime | None
    reason: str
    detail: str
    size: int | None
    status: Status
    action: ActionKind | None
    at: datetime | None
    who: str | None
    note: str | None


_ENTRY = {
    "base64Encode(key)" if field.name == "key" else field.name: field.name
    for field in fields(Entry)
}
"""From columns of the view, as they are asked for, to fields. Bytes cross as base64: the driver
would read every text as UTF-8."""


@dataclass(frozen=True, slots=True)
class Group:
    """The letters of one reason. ``first`` and ``last``: times of their records, UTC."""

    reason: str
    letters: int
    first: datetime | None
    last: datetime | None
    keys: tuple[bytes, ...]
    """The most frequent ones, in this order; by the contract a key is a team."""
    example: str
    detail: str


class DeadLetters:
    """The tables `dead_letters` and `dead_letter_actions`, and the view `dead_letter_status`."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def record(self, letters: Sequence[Letter]) -> None:
        """Land letters. Can be repeated: a letter is one row, by where it stood."""
        landed = datetime.now(UTC)
        for part in _by_bytes(letters):
            rows = [
                {
                    **{name: getattr(letter, name) for name in _LETTERS.names[:-1]},
                    "headers": [{"name": name, "value": value} for name, value in letter.headers],
                    "landed_at": landed,
                }
                for letter in part
            ]
            self._clickhouse.insert("dead_letters", arrow_table(_LETTERS, rows))

    def groups(self, status: Status | None, reason: str | None = None) -> list[Group]:
        """Letters by reason, the most frequent first; of one status and reason, or of all."""
        where, parameters = _conditions(status, reason)
        rows = self._clickhouse.query(
            "SELECT reason, count(), min(appended_at), max(appended_at), "
            f"arrayMap(k -> base64Encode(k), topK({KEYS_SHOWN})(key)), "
            "argMax(letter, (partition, offset)), argMax(detail, (partition, offset)) "
            f"FROM dead_letter_status{where} GROUP BY reason ORDER BY count() DESC, reason",
            parameters,
        )
        return [
            Group(
                reason,
                int(count),
                _utc(first),
                _utc(last),
                tuple(b64decode(key) for key in keys),
                example,
                detail,
            )
            for reason, count, first, last, keys, example, detail in rows
        ]

    def entries(self, status: Status | None, reason: str | None = None) -> list[Entry]:
        """Letters one by one, in the order of their logs; of one status and reason, or of all."""
        where, parameters = _conditions(status, reason)
        return self._entries(where, parameters)

    def entries_of(self, ids: Sequence[str]) -> list[Entry]:
        """The letters with these ids; those that do not exist are left out."""
        return [
            entry
            for some in _parts(ids)
            for entry in self._entries(" WHERE letter IN {ids:Array(String)}", {"ids": some})
        ]

    def letters(self, ids: Sequence[str]) -> dict[str, Letter]:
        """Letters by id, with all their bytes: ask for few."""
        found: dict[str, Letter] = {}
        for some in _parts(ids):
            rows = self._clickhouse.query(
                "SELECT source, partition, offset, base64Encode(key), base64Encode(value), "
                "arrayMap(h -> (h.1, base64Encode(h.2)), headers), appended_at, reason, detail "
                "FROM dead_letters WHERE letter IN {ids:Array(String)} "
                "ORDER BY source, partition, offset, landed_at DESC LIMIT 1 BY letter",
                {"ids": some},
            )
            for source, partition, offset, key, value, headers, appended, reason, detail in rows:
                letter = Letter(
                    source,
                    int(partition),
                    int(offset),
                    _bytes(key),
                    _bytes(value),
                    tuple((name, _bytes(content)) for name, content in headers),
                    _utc(appended),
                    reason,
                    detail,
                )
                found[letter.letter] = letter
        return found

    def history(self, ids: Sequence[str]) -> dict[str, list[Action]]:
        """What was done about letters, oldest first; those without any action are left out."""
        found: dict[str, list[Action]] = defaultdict(list)
        for some in _parts(ids):
            rows = self._clickhouse.query(
                f"SELECT {', '.join(_ACTIONS.names)} FROM dead_letter_actions "
                "WHERE letter IN {ids:Array(String)} ORDER BY letter, at",
                {"ids": some},
            )
            for row in rows:
                values = dict(zip(_ACTIONS.names, row, strict=True))
                values["at"] = _utc(values["at"])
                found[values["letter"]].append(Action(**values))
        return dict(found)

    def act(self, actions: Sequence[Action]) -> None:
        """Add lines to the audit trail, in one insert."""
        if actions:
            rows = [asdict(action) for action in actions]
            table = arrow_table(_ACTIONS, rows)
            self._clickhouse.insert("dead_letter_actions", table, token=uuid.uuid4().hex)

    def _entries(self, where: str, parameters: Mapping[str, Any]) -> list[Entry]:
        rows = self._clickhouse.query(
            f"SELECT {', '.join(_ENTRY)} FROM dead_letter_status{where} "
            "ORDER BY source, partition, offset",
            parameters,
        )
        found = []
        for row in rows:
            values = dict(zip(_ENTRY.values(), row, strict=True))
            values["key"] = _bytes(values["key"])
            for time in ("appended_at", "at"):
                values[time] = _utc(values[time])
            found.append(Entry(**values))
        return found


def _conditions(status: Status | None, reason: str | None) -> tuple[str, dict[str, str]]:
    wanted = {"status": status, "reason": reason}
    parameters = {name: value for name, value in wanted.items() if value is not None}
    tests = " AND ".join(f"{name} = {{{name}:String}}" for name in parameters)
    return f" WHERE {tests}" if tests else "", parameters


def _by_bytes(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
    """Letters in runs of at most `INSERT_BYTES`, or of one."""
    part: list[Letter] = []
    size = 0
    for letter in letters:
        own = len(letter.value or b"") + len(letter.key or b"")
        own += sum(len(name) + len(value or b"") for name, value in letter.headers)
        if part and size + own > INSERT_BYTES:
            yield part
            part, size = [], 0
        part.append(letter)
        size += own
    if part:
        yield part


def _parts(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), ASKED_AT_ONCE):
        yield list(ids[start : start + ASKED_AT_ONCE])


def _bytes(encoded: str | None) -> bytes | None:
    return None if encoded is None else b64decode(encoded)


def _utc(at: datetime | None) -> datetime | None:
    """The driver leaves out a zone that is UTC."""
    return None if at is None else at.replace(tzinfo=UTC)
