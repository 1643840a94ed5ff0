"""Reads the Mooncake traces (FAST'25): JSONL with token counts and one id per block of the prompt.

Equal ids at the start of two prompts are an equal prefix, which a prompt cache would have served.
The metered cache reads are what a cache without eviction could serve, so an upper bound: the
longest run of leading blocks that an earlier row of the file had as its leading blocks. The last
token of a prompt is never counted as read: a model computes at least one to answer (so does vLLM's
prefix cache, and providers bill so).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import from_json

from schemas.errors import UserError
from schemas.tokens import MAX_TOKENS_PER_EVENT
from schemas.usage import LATEST
from streams.traffic.records import EventMaker, Record, TraceFile
from streams.traffic.roster import Roster

NAME = "mooncake"
BLOCK_TOKENS = 512
DEFAULT_START = datetime(2026, 1, 5, tzinfo=UTC)
"""The trace counts from zero; a fixed start keeps events and periods the same in every replay."""
_MAX_OFFSET_MS = (LATEST - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
_SAMPLE = '{"timestamp": 0, "input_length": 700, "output_length": 50, "hash_ids": [0, 1]}'


class SeenPrefixes:
    """The prefixes of all prompts so far, as a radix tree of block ids.

    A run holds the blocks that were new in one prompt; a branch says which run goes on where a
    prompt leaves one: (run, blocks of it that agreed, next block). So a prompt costs one entry.
    """

    def __init__(self) -> None:
        self._runs: list[list[int]] = [[]]
        self._branches: dict[tuple[int, int, int], int] = {}

    def add(self, blocks: list[int]) -> int:
        """Remember a prompt; returns how many of its leading blocks were known as such before."""
        runs = self._runs
        run = agreed = known = 0
        for block in blocks:
            if agreed < len(runs[run]) and runs[run][agreed] == block:
                agreed += 1
            else:
                branch = self._branches.get((run, agreed, block))
                if branch is None:
                    self._branches[run, agreed, block] = len(runs)
                    runs.append(blocks[known:])
                    break
                run, agreed = branch, 1
            known += 1
        return known


def cached_tokens(known_blocks: int, input_length: int) -> int:
    """Prompt tokens in ``known_blocks`` leading blocks, all but the prompt's last one at most."""
    return max(0, min(known_blocks * BLOCK_TOKENS, input_length - 1))


def read_mooncake(file: TraceFile, roster: Roster, start: datetime) -> Iterator[Record]:
    """One record per row, in file order, times counted from ``start``. Raises UserError."""
    maker = EventMaker(NAME, file, roster, cached=True)
    seen = SeenPrefixes()
    for row, (line, raw) in enumerate(file.lines(), start=1):
        entry = _entry(file, line, raw)
        offset = _whole(file, line, entry, "timestamp", _MAX_OFFSET_MS)
        prompt = _whole(file, line, entry, "input_length", MAX_TOKENS_PER_EVENT)
        answer = _whole(file, line, entry, "output_length", MAX_TOKENS_PER_EVENT)
        cached = cached_tokens(seen.add(_blocks(file, line, entry)), prompt)
        try:
            at = start + timedelta(milliseconds=offset)
        except OverflowError as error:
            raise file.mistake(line, f"timestamp is {offset}; it ends after 2099") from error
        yield maker.record(
            row,
            line,
            at,
            input_tokens=prompt - cached,
            cache_read_tokens=cached,
            output_tokens=answer,
        )


def _entry(file: TraceFile, line: int, raw: bytes) -> dict[str, Any]:
    try:
        entry = from_json(raw)
    except ValueError as error:
        raise file.mistake(line, f"not JSON; {NAME} has lines such as {_SAMPLE}") from error
    if not isinstance(entry, dict):
        raise file.mistake(line, f"not a JSON object; {NAME} has lines such as {_SAMPLE}")
    return entry


def _shown(entry: dict[str, Any], name: str) -> str:
    return f"is {entry[name]!r:.40}" if name in entry else "is not there"


def _whole(file: TraceFile, line: int, entry: dict[str, Any], name: str, limit: int) -> int:
    value = entry.get(name)
    if type(value) is not int or not 0 <= value <= limit:
        raise _wrong(file, line, entry, name, f"a whole number from 0 to {limit}")
    return value


def _blocks(file: TraceFile, line: int, entry: dict[str, Any]) -> list[int]:
    value = entry.get("hash_ids")
    if not isinstance(value, list) or not set(map(type, value)) <= {int}:
        raise _wrong(file, line, entry, "hash_ids", "a list of whole numbers")
    return value


def _wrong(file: TraceFile, line: int, entry: dict[str, Any], name: str, wanted: str) -> UserError:
    return file.mistake(line, f"{name} {_shown(entry, name)}; {wanted} is needed")
