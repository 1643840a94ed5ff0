"""The rows of an invoice export: CSV, plain or gzip, with what stands above its header.

Google's console writes lines such as `Currency,AUD` above the header; they hold for every row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from schemas.errors import Refusal, UserError
from streams.imports.documents import MAX_LINE, Document, ExportFile
from streams.invoices.formats import Format

DELIMITERS = (",", ";", "\t")
HIGHEST = 40
"""Lines that are looked at for a header."""
_SIGN = re.compile(r"\s*\([^)]*\)$")


@dataclass(frozen=True, slots=True)
class Header:
    """Where the header is: its line, columns in lower case, and what the lines above it say."""

    delimiter: str
    line: int
    columns: tuple[str, ...]
    above: dict[str, str]

    @property
    def known(self) -> tuple[str, ...]:
        """Every column that rows have."""
        return (*self.columns, *(name for name in self.above if name not in self.columns))


class Sheet(ExportFile):
    """A CSV file whose header one of the formats knows. Raises UserError where none does.

    ``formats``: what it may be. `format` is what it is.
    """

    def __init__(self, path: Path, formats: Sequence[Format]) -> None:
        super().__init__(path)
        if self.kind != "csv":
            raise UserError(f"{path}: is JSON; give the provider's export as CSV")
        self.format, self._header = self._recognised(formats)

    def _recognised(self, formats: Sequence[Format]) -> tuple[Format, Header]:
        headers = self._headers()
        for header in headers:
            for form in formats:
                if not form.missing(header.known):
                    return form, header
        nearest, missing = min(
            ((form, form.missing(header.known)) for header in headers for form in formats),
            key=lambda pair: len(pair[1]) / len(pair[0].needs),
        )
        what = f"is no {nearest.title}"
        if len(formats) > 1:
            what = f"has no header that is known; nearest is {nearest.name} ({nearest.title})"
        known = ", ".join(form.name for form in formats)
        raise UserError(
            f"{self.path}: {what}, and the header lacks: {', '.join(missing)}"
            + (f"; known formats: {known}" if len(formats) > 1 else "")
        )

    def _headers(self) -> list[Header]:
        """What could be the header: each of the first lines."""
        found: list[Header] = []
        for delimiter in DELIMITERS:
            above: dict[str, str] = {}
            with self._text() as text:
                rows = csv.reader(text, delimiter=delimiter)
                for cells in islice(rows, HIGHEST):
                    columns = tuple(_SIGN.sub("", cell.strip().lower()) for cell in cells)
                    found.append(Header(delimiter, rows.line_num, columns, dict(above)))
                    if len(cells) == 2 and cells[0].strip():
                        above[columns[0]] = cells[1].strip()
        return found

    def documents(self) -> Iterator[Document]:
        """Its rows, in order, with their lines. Raises UserError where the file breaks off."""
        try:
            with self._text() as text:
                yield from self._rows(text)
        except (OSError, EOFError) as error:
            raise UserError(f"{self.path}: cannot be read to its end: {error}") from error

    def _rows(self, text: IO[str]) -> Iterator[Document]:
        header = self._header
        rows = csv.reader(text, delimiter=header.delimiter)
        while rows.line_num < header.line:
            next(rows)
        while True:
            line = rows.line_num + 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Document(line, {}, Refusal("unreadable", f"not CSV: {error}"))
                continue
            if len(cells) == len(header.columns):
                row = dict(zip(header.columns, map(str.strip, cells), strict=True))
                yield Document(line, header.above | row)
            elif any(map(str.strip, cells)):
                why = f"has {len(cells)} columns, and the header {len(header.columns)}"
                yield Document(line, {}, Refusal("unreadable", why), ",".join(cells)[:1000])

    @contextmanager
    def _text(self) -> Iterator[IO[str]]:
        """It as text, without its byte-order mark; what is no UTF-8 is marked as such."""
        with (
            self._open() as stream,
            io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="") as text,
        ):
            csv.field_size_limit(MAX_LINE)
            yield text
