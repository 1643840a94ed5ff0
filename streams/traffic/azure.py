"""Reads the Azure LLM inference traces: CSV with a time and two token counts per call.

Format: Azure Public Dataset, "AzureLLMInferenceDataset2023" and "...2024". Times are UTC; the
2023 files have seven decimals (100 ns), of which six are kept, the rest is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from streams.traffic.records import EventMaker, Record, TraceFile, text_of
from streams.traffic.roster import Roster

NAME = "azure-trace"
HEADER = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_MAX_DIGITS = 18


def read_azure(file: TraceFile, roster: Roster) -> Iterator[Record]:
    """One record per row, in file order. Raises UserError with file:line."""
    maker = EventMaker(NAME, file, roster, cached=False)
    lines = file.lines()
    number, raw = next(lines)
    header = text_of(file, number, raw)
    if tuple(name.strip() for name in header.split(",")) != HEADER:
        raise file.mistake(
            number, f"the header is {header[:80]!r}; {NAME} starts with {','.join(HEADER)}"
        )
    for row, (line, raw) in enumerate(lines, start=1):
        cells = text_of(file, line, raw).split(",")
        if len(cells) != len(HEADER):
            raise file.mistake(line, f"has {len(cells)} columns; {','.join(HEADER)} are 3")
        yield maker.record(
            row,
            line,
            _time(file, line, cells[0]),
            input_tokens=_count(file, line, HEADER[1], cells[1]),
            output_tokens=_count(file, line, HEADER[2], cells[2]),
        )


def _time(file: TraceFile, line: int, cell: str) -> datetime:
    try:
        at = datetime.fromisoformat(cell.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise file.mistake(
            line, f"TIMESTAMP is {cell[:40]!r}; UTC such as 2023-11-16 18:15:46.6805900 is needed"
        ) from error


def _count(file: TraceFile, line: int, name: str, cell: str) -> int:
    digits = cell.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise file.mistake(line, f"{name} is {cell[:40]!r}; a whole number from 0 is needed")
    return int(digits)
