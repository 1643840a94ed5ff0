"""Statements as files: each is complete or not there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from reports.chargeback.csv_file import statement_csv, summary_csv
from reports.chargeback.document import Paper, file_names
from reports.chargeback.excel_file import statement_xlsx
from reports.chargeback.pdf_file import statement_pdf
from schemas.errors import UserError

MAKERS: Mapping[str, Callable[[Paper], bytes]] = {
    "csv": statement_csv,
    "xlsx": statement_xlsx,
    "pdf": statement_pdf,
}
"""Format → what makes it."""


def write_papers(
    papers: Sequence[Paper],
    folder: Path,
    formats: Collection[str],
    only: str | None = None,
    made: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write a file for each statement and format, and a summary of all of them as CSV.

    ``papers``: all of a month. ``only``: the department (in words) whose statement is written,
    without a summary; its name is the one that it has among all. ``made`` is told each file.
    Raises UserError where the folder cannot be written, and NotSet.
    """
    month = f"{papers[0].asof.month:%Y-%m}"
    names = file_names([paper.statement for paper in papers], month)
    for paper, name in zip(papers, names, strict=True):
        if only in {None, paper.department}:
            for form in formats:
                made(_written(folder / f"{name}.{form}", MAKERS[form](paper)))
    if only is None:
        made(_written(folder / f"statements-{month}.csv", summary_csv(papers)))


def _written(path: Path, content: bytes) -> Path:
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise UserError(
            f"{path.parent}: {error.strerror or error}; name a folder to write to"
        ) from None
    return path
