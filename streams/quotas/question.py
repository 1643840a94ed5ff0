"""What a gateway asks: `GET /v1/quota?team=search&user=ann`."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.errors import UserError
from schemas.usage import MAX_TEXT
from streams.budgets.fields import DIMENSIONS
from streams.file_model import known_or_nearest


def read_question(parameters: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The attributes of the call that is asked about, by dimension. Raises UserError."""
    question: dict[str, str] = {}
    for name, value in parameters:
        if name not in DIMENSIONS:
            raise UserError(
                f"{name}: a call has no such attribute; {known_or_nearest(name, DIMENSIONS)}"
            )
        if name in question:
            raise UserError(f"{name}: is there twice; ask about one call at a time")
        if not value.strip():
            raise UserError(f"{name}: is empty; leave it out where the call has none")
        if (size := _size(name, value)) > MAX_TEXT:
            raise UserError(f"{name}: is {size} bytes long; at most {MAX_TEXT} are")
        question[name] = value
    return question


def _size(name: str, value: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise UserError(f"{name}: is not UTF-8, which the names of events are") from None
