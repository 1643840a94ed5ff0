"""The documents of an export file: CSV, JSONL or JSON, plain or gzip, one at a time.

What the file is its content says, not its name. However large it is, one document is in memory: a
line of CSV or JSONL, an element of a JSON array, or of the `data` of a page. Pages may follow one
another.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal, cast

import ijson

from schemas.errors import Refusal, UserError
from streams.imports.values import from_json

MAX_LINE = 67_108_864
"""Bytes of a line, and characters of a cell: more is no row of an export."""
HEAD = 65_536
_ORIGINAL = 1000
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"

Kind = Literal["csv", "jsonl", "array", "object"]


@dataclass(frozen=True, slots=True)
class Document:
    """One document. ``line``: its line, or its number in a JSON array, from 1.

    ``problem`` is set where it cannot be read; ``original`` then has its text, cut.
    """

    line: int
    content: Mapping[str, Any]
    problem: Refusal | None = None
    original: str = ""


class ExportFile:
    """A file to import. Raises UserError where it cannot be opened or is empty.

    ``unit`` is what documents are counted in; ``size`` its bytes, of which `position` were read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.size = path.stat().st_size
            modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            with self._open() as stream:
                head = stream.read(HEAD).removeprefix(_BOM)
        except (OSError, EOFError) as error:
            why = getattr(error, "strerror", None) or error
            raise UserError(f"{path}: {why}; give a readable export") from error
        if not head.strip():
            raise UserError(f"{path}: the file is empty; give an export with at least one row")
        self.taken = min(modified, datetime.now(UTC))
        """When the export was made, at the latest."""
        self.kind = _kind(head)
        self.unit = "line" if self.kind in ("csv", "jsonl") else "item"

    @property
    def position(self) -> int:
        """Bytes of the file that were read."""
        return self.size if self._raw.closed else self._raw.tell()

    def documents(self) -> Iterator[Document]:
        """All of it, in order. Raises UserError where the file breaks off, or goes away."""
        try:
            with self._open() as stream:
                if stream.read(len(_BOM)) != _BOM:
                    stream.seek(0)
                yield from self._read(stream)
        except (OSError, EOFError) as error:
            raise UserError(f"{self.path}: cannot be read to its end: {error}") from error

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        with self.path.open("rb") as self._raw:
            packed = self._raw.read(len(_GZIP)) == _GZIP
            self._raw.seek(0)
            if not packed:
                yield self._raw
                return
            with gzip.open(self._raw) as unpacked:
                yield cast("IO[bytes]", unpacked)

    def _read(self, stream: IO[bytes]) -> Iterator[Document]:
        if self.kind == "csv":
            return _csv(stream)
        if self.kind == "jsonl":
            return _jsonl(stream)
        return _json(stream, "item" if self.kind == "array" else "data.item")


def _kind(head: bytes) -> Kind:
    start = head.lstrip()
    if start.startswith(b"["):
        return "array"
    if not start.startswith(b"{"):
        return "csv"
    lines = [line for line in start.splitlines() if line.strip()]
    try:
        if isinstance(json.loads(lines[0]), dict) and "data" not in json.loads(lines[0]):
            return "jsonl"
    except ValueError:
        # Broken, or the begin of an object that is written over several lines.
        return "jsonl" if len(lines) > 1 and lines[1].startswith(b"{") else "object"
    return "jsonl" if len(lines) > 1 else "object"


def _jsonl(stream: IO[bytes]) -> Iterator[Document]:
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield _broken(number, f"the line has more than {MAX_LINE:,} bytes", line)
        elif line.strip():
            try:
                yield _document(number, from_json(line), line)
            except (ValueError, RecursionError) as error:
                yield _broken(number, f"not JSON: {error}", line)


def _json(stream: IO[bytes], path: str) -> Iterator[Document]:
    """Elements at a path. What is broken ends the reading: where the next one begins is lost."""
    number = 0
    try:
        for element in ijson.items(stream, path, multiple_values=True):
            number += 1
            yield _document(number, element, b"")
        if number == 0 and path == "data.item":
            stream.seek(0)
            for element in ijson.items(stream, "", multiple_values=True):
                number += 1
                yield _document(number, element, b"")
    except ijson.JSONError as error:
        why = " ".join(str(error).split())[:200]
        yield _broken(number + 1, f"not JSON from here on, and not read: {why}", b"")


def _csv(stream: IO[bytes]) -> Iterator[Document]:
    csv.field_size_limit(MAX_LINE)
    # What is no UTF-8 stays visible as such, and is refused where it would get into an event.
    with io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="") as text:
        first = text.readline()
        delimiter = max(",;\t", key=first.count)
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        rows = csv.reader(text, delimiter=delimiter)
        while True:
            line = rows.line_num + 2
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield _broken(line, f"not CSV: {error}", b"")
                continue
            if len(cells) == len(header):
                yield Document(line, {n: c or None for n, c in zip(header, cells, strict=True)})
            elif cells:
                why = f"has {len(cells)} columns, and the header {len(header)}"
                yield _broken(line, why, delimiter.join(cells).encode(errors="surrogateescape"))


def _document(number: int, content: Any, raw: bytes) -> Document:
    if isinstance(content, dict):
        return Document(number, content)
    return _broken(number, "is no JSON object", raw or repr(content).encode(errors="replace"))


def _broken(number: int, why: str, raw: bytes) -> Document:
    original = raw[:_ORIGINAL].decode(errors="replace").rstrip("\r\n")
    return Document(number, {}, Refusal("unreadable", why), original)
