"""`spendstream replay` reads traces through here: three formats, one kind of record.

Event ids are ``<format>:<identity of the file's content>:<row>``, rows from 1: the same file gives
the same ids from any path, so that its second replay changes nothing. Another roster or start time
for a file that was replayed makes other events under known ids: the meter keeps the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from schemas.errors import UserError
from streams.traffic import azure, jsonl, mooncake
from streams.traffic.mooncake import DEFAULT_START
from streams.traffic.records import Record, open_trace
from streams.traffic.roster import Roster

FORMATS = (azure.NAME, mooncake.NAME, jsonl.NAME)


def read_trace(
    path: Path, trace_format: str, roster: Roster, start: datetime = DEFAULT_START
) -> Iterator[Record]:
    """The records of a trace, lazily, in file order.

    ``start`` (with a zone) is the time of a Mooncake trace's zero; the other formats have times of
    their own, and ``roster`` is not used for jsonl. Raises UserError: at once for a wrong file,
    format or start, and while reading for a wrong line.
    """
    if trace_format not in FORMATS:
        raise UserError(f"format is {trace_format!r}; {', '.join(FORMATS)} are known")
    if start.tzinfo is None:
        raise UserError(
            f"start is {start.isoformat()}, without a zone; write it as 2026-01-05T00:00:00Z"
        )
    file = open_trace(path)
    if trace_format == azure.NAME:
        return azure.read_azure(file, roster)
    if trace_format == mooncake.NAME:
        return mooncake.read_mooncake(file, roster, start)
    return jsonl.read_jsonl(file)


def record_count(path: Path, trace_format: str) -> int:
    """How many records a trace has, for a progress bar. Raises UserError for a wrong file."""
    lines = sum(1 for _ in open_trace(path).lines())
    return lines - 1 if trace_format == azure.NAME else lines
