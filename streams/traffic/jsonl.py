"""Reads JSONL of usage events, one JSON event or CloudEvent a line, and passes the bytes through.

Nothing is checked here: a line that is no usage event is for the meter to refuse, so that a replay
shows the same dead letters as the traffic that it repeats. The line is read only for its team, by
which the topic is partitioned, and for its time, by which a replay is paced.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from schemas.errors import InvalidEvent
from schemas.wire import Framing, decode_fields
from streams.traffic.records import Record, TraceFile

NAME = "jsonl"
_JSON = Framing("json", 0)


def read_jsonl(file: TraceFile) -> Iterator[Record]:
    """One record per line, bytes unchanged but for the end of line."""
    for _, raw in file.lines():
        try:
            fields = decode_fields(raw, _JSON)
        except InvalidEvent:
            yield Record(None, b"", raw)
            continue
        team = fields.get("team")
        key = team.encode(errors="replace") if isinstance(team, str) else b""
        yield Record(_time(fields.get("occurred_at")), key, raw)


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return None if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
