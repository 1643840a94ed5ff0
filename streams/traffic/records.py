"""What every trace reader shares: the record it yields, the file it reads, the ids it gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

from schemas.errors import UserError
from schemas.tokens import MAX_TOKENS_PER_EVENT
from schemas.usage import EARLIEST, LATEST
from streams.traffic.encoding import RowEncoder
from streams.traffic.roster import Assignment, Roster

IDENTITY_BYTES = 64 * 1024
"""How much of a file its identity reads: enough to tell traces apart, too little to wait for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COMMON = frozenset(
    {"event_id", "occurred_at", "input_tokens", "output_tokens", *Assignment._fields}
)


@dataclass(frozen=True, slots=True)
class Record:
    """One record for the usage topic. ``at`` is the event's time, None where it tells none."""

    at: datetime | None
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A file to replay. ``identity`` goes by content, so that its path may change.

    It is a BLAKE2b of the first 64 KiB and of the size. Two files that agree in both share their
    event ids; the meter then counts the first of two events and reports the other as a conflict.
    """

    path: Path
    identity: str

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Lines that are not blank, with their number from 1, without the end of line."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip(b"\r\n")

    def mistake(self, line: int, what: str) -> UserError:
        """The error for a line of this file; ``what`` also says what would be right."""
        return UserError(f"{self.path}:{line}: {what}")


def open_trace(path: Path) -> TraceFile:
    """Look at a file before it is read. Raises UserError where it is unreadable or empty."""
    try:
        with path.open("rb") as file:
            head = file.read(IDENTITY_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; give a readable trace file") from error
    if not head.strip():
        raise UserError(f"{path}: the file starts empty; give a trace with at least one row")
    digest = blake2b(head + size.to_bytes(8, "big"), digest_size=8, usedforsecurity=False)
    return TraceFile(path, digest.hexdigest())


def text_of(file: TraceFile, line: int, raw: bytes) -> str:
    """A line as text; a byte order mark in front is dropped. Raises UserError."""
    try:
        return raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise file.mistake(line, "is not UTF-8 text; unpack the file if it is packed") from error


class EventMaker:
    """Turns token counts of a trace into encoded usage events, with names from a roster."""

    def __init__(self, trace_format: str, file: TraceFile, roster: Roster, cached: bool) -> None:
        self._prefix = f"{trace_format}:{file.identity}:"
        self._file = file
        self._roster = roster
        self._encoder = RowEncoder(
            _COMMON | {"cache_read_tokens"} if cached else _COMMON, {"usage_source": "reported"}
        )

    def record(self, row: int, line: int, at: datetime, **tokens: int) -> Record:
        """The event of row ``row`` (from 1), which stands in ``line``. Raises UserError."""
        if not EARLIEST <= at < LATEST:
            raise self._file.mistake(line, f"the time is {at:%Y-%m-%d}; 2000 to 2099 are metered")
        if sum(tokens.values()) > MAX_TOKENS_PER_EVENT:
            raise self._file.mistake(
                line, f"{sum(tokens.values())} tokens; one call may have {MAX_TOKENS_PER_EVENT}"
            )
        who = self._roster.assign(row)
        value = self._encoder.encode(
            {
                "event_id": f"{self._prefix}{row}",
                "occurred_at": (at - _EPOCH) // _MICROSECOND,
                **who._asdict(),
                **tokens,
            }
        )
        return Record(at, who.team.encode(), value)
