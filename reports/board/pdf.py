"""The board's report as a PDF, set by Typst with its own fonts: no network, no browser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files

import typst

from reports.board.setting import Document
from schemas.errors import SpendstreamError


class NotSet(SpendstreamError):
    """The report could not be set."""


def set_pdf(document: Document, pictures: Sequence[str], created: datetime) -> bytes:
    """The PDF, for readers who do not see it too (PDF/UA-1). The same input makes the same bytes.

    ``pictures``: SVGs of the document's charts. ``created``: what the file says of itself, UTC.
    Raises NotSet.
    """
    charts = [
        {**chart, "svg": picture}
        for chart, picture in zip(document["charts"], pictures, strict=True)
    ]
    template = (files("reports.board") / "board.typ").read_bytes()
    try:
        pdf: bytes = typst.compile(
            template,
            format="pdf",
            ignore_system_fonts=True,
            sys_inputs={"data": json.dumps({**document, "charts": charts})},
            pdf_standards=["ua-1"],
            timestamp=created.astimezone(UTC),
        )
    except typst.TypstError as error:
        raise NotSet(f"the report could not be set: {error.message}") from error
    return pdf
