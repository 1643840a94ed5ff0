"""An import from its first document to its last, in batches: read, convert, ask, send, count."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from schemas.errors import InvalidEvent, Refusal
from streams.imports.convert import Converter, Encoded, Figures, figures
from streams.imports.documents import Document, ExportFile
from streams.imports.source import Passed
from streams.imports.sources import wrong_shape
from streams.imports.tally import Tally
from streams.traffic.records import Record

DOCUMENTS_AT_ONCE = 1000
REMEMBERED = 100_000
"""Ids that this run has met: what it has just sent, the archive does not have yet."""

Known = Callable[[Sequence[str]], dict[str, Figures]]
Send = Callable[[list[Record]], Awaitable[object]]
Batch = list[tuple[int, Mapping[str, Any], list[Encoded]]]
"""Rows that were read: line, row, events."""


class Import:
    """One import. ``known`` and ``send`` None: nothing is asked and nothing sent, only read.

    ``name`` is what errors call the export. Running it again, or over an export that overlaps,
    sends what is missing.
    """

    def __init__(
        self, name: str, converter: Converter, tally: Tally, known: Known | None, send: Send | None
    ) -> None:
        self._name = name
        self._converter = converter
        self._tally = tally
        self._known = known
        self._send = send
        self._recognised = False
        self._met: OrderedDict[str, Figures] = OrderedDict()

    async def run(
        self, batches: AsyncIterator[Sequence[Document]], advanced: Callable[[], None]
    ) -> None:
        """All of it. Calls ``advanced`` after each batch.

        Raises UserError where the file is another source's; whatever ``known`` and ``send`` raise.
        """
        async for documents in batches:
            rows = await asyncio.to_thread(self._converted, documents)
            ids = [one.event.event_id for _, _, events in rows for one in events]
            known: dict[str, Figures] = {}
            if self._known is not None:
                known = await asyncio.to_thread(self._known, ids)
            records = self._judged(rows, known)
            if self._send is not None:
                await self._send(records)
            advanced()

    def _converted(self, documents: Sequence[Document]) -> Batch:
        found: Batch = []
        for document in documents:
            if document.problem is not None:
                self._tally.rows += 1
                self._tally.reject(document.line, document.problem, document.original)
            elif self._is_own(document):
                for row in self._converter.source.rows(document.content):
                    self._tally.rows += 1
                    self._convert(document.line, row, found)
        return found

    def _is_own(self, document: Document) -> bool:
        source, content = self._converter.source, document.content
        if source.own(content):
            self._recognised = True
            return True
        if source.start(content):
            return False
        if not self._recognised:
            raise wrong_shape(source, content, self._name)
        self._tally.rows += 1
        shape = Refusal("unknown_shape", f"is not of the shape of {source.noun}")
        self._tally.reject(document.line, shape, content)
        return False

    def _convert(self, line: int, row: Mapping[str, Any], found: Batch) -> None:
        try:
            found.append((line, row, self._converter.events(row)))
        except Passed as passed:
            self._tally.pass_over(line, passed.code, passed.detail)
        except InvalidEvent as error:
            self._tally.reject(line, error.refusal, row)

    def _judged(self, rows: Batch, known: Mapping[str, Figures]) -> list[Record]:
        """What is to be sent. A row of which an event is known with other figures is a reject."""
        records: list[Record] = []
        for line, row, events in rows:
            before = [self._met.get(e.event.event_id, known.get(e.event.event_id)) for e in events]
            now = [figures(one.event) for one in events]
            if changed := next(
                (pair for pair in zip(before, now, strict=True) if pair[0] not in (None, pair[1])),
                None,
            ):
                self._tally.reject(line, _changed(*changed), row)
                continue
            for one, seen, counted in zip(events, before, now, strict=True):
                self._tally.add(one.event, known=seen is not None)
                self._remember(one.event.event_id, counted)
                if seen is None:
                    records.append(Record(None, one.event.team.encode(), one.value))
        return records

    def _remember(self, event_id: str, counted: Figures) -> None:
        self._met[event_id] = counted
        self._met.move_to_end(event_id)
        if len(self._met) > REMEMBERED:
            self._met.popitem(last=False)


def _changed(before: Figures | None, now: Figures) -> Refusal:
    was = "nothing" if before is None else _said(before)
    return Refusal("changed", f"was imported with {was} and now has {_said(now)}; the first counts")


def _said(counted: Figures) -> str:
    tokens, cost = counted
    return f"{sum(count or 0 for count in tokens)} tokens" + (
        "" if cost is None else f", ${cost:f}"
    )


async def file_batches(file: ExportFile) -> AsyncIterator[list[Document]]:
    """The documents of a file, read beside the loop."""
    documents: Iterator[Document] = file.documents()
    while some := await asyncio.to_thread(lambda: list(islice(documents, DOCUMENTS_AT_ONCE))):
        yield some
