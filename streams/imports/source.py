"""What a source is: a system that recorded usage, the shape of its export, and how to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import SpendstreamError

Fields = dict[str, Any]
"""Fields of a usage event, not checked yet; None is not known."""


class Passed(SpendstreamError):
    """A row that is no usage, or not yet: nothing is wrong with it, and nothing is sent."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of export.

    ``rows`` takes a document of the file (an object of JSON, or a line of CSV) apart into rows.
    ``events`` gives the fields of a row's events. It raises InvalidEvent where the row cannot be
    read, and Passed where it is no usage. ``own``: its documents have the shape of this source.
    """

    name: str
    noun: str
    own: Callable[[Mapping[str, Any]], bool]
    rows: Callable[[Mapping[str, Any]], Iterator[Mapping[str, Any]]]
    events: Callable[[Mapping[str, Any]], Sequence[Fields]]
    attributes: tuple[str, ...]
    """Fields of a row that ``--map`` may name; those with ``.*`` hold any."""
    start: Callable[[Mapping[str, Any]], bool] = lambda _: False
    """True for a document that may be any source's, such as a bucket without results."""


def as_rows(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """For a source whose documents are its rows."""
    yield document
