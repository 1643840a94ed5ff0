"""An import from its first line to its last, in batches: read, convert, ask, write, count."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import islice

from schemas.errors import InvalidEvent
from sinks.invoices import Charge, Invoices
from streams.imports.documents import Document
from streams.imports.source import Passed
from streams.invoices.convert import Converter
from streams.invoices.line import Line
from streams.invoices.sheet import Sheet
from streams.invoices.tally import Tally, Unread

AT_ONCE = 2_000
"""Lines that are asked for and written at once."""


class Import:
    """One import. ``file`` is what the lines are said to come from; ``models`` are the ledger's.

    ``replace``: lines that an earlier export had, and this one has not, are taken out.
    """

    def __init__(
        self,
        provider: str,
        file: str,
        converter: Converter,
        models: Collection[str],
        invoices: Invoices | None,
        *,
        replace: bool = False,
    ) -> None:
        self.tally = Tally()
        self._provider = provider
        self._file = file
        self._converter = converter
        self._models = frozenset(models)
        self._invoices = invoices
        self._replace = replace
        self._seen: set[str] = set()
        self._accounts: set[str] = set()

    def run(self, sheet: Sheet, advanced: Callable[[], None] = lambda: None) -> Tally:
        """All of it; ``invoices`` None: nothing is asked and written, only read.

        Raises UserError where the file breaks off, and ClickHouseError.
        """
        documents = sheet.documents()
        while some := list(islice(documents, AT_ONCE)):
            self._write([self._charge(line) for line in self._lines(some)])
            advanced()
        self._others()
        return self.tally

    def _lines(self, documents: Collection[Document]) -> Iterator[Line]:
        for document in documents:
            if (problem := document.problem) is not None:
                self.tally.unread.append(Unread(document.line, problem.code, problem.detail))
                continue
            try:
                line = self._converter.line(document.line, document.content)
            except Passed as passed:
                self.tally.pass_over(document.line, passed.code, passed.detail)
            except InvalidEvent as error:
                refusal = error.refusal
                self.tally.unread.append(Unread(document.line, refusal.code, refusal.detail))
            else:
                self.tally.read(line, matched=line.model in self._models)
                yield line

    def _charge(self, line: Line) -> Charge:
        said, form = line.said, self._converter.form
        return Charge(
            provider=self._provider,
            line_id=line.line_id,
            format=form.name,
            file=self._file,
            line=line.number,
            day=said.day,
            last_day=said.last_day,
            zone=form.zone,
            account=said.account,
            model=line.model,
            sku=said.sku,
            charge=said.charge,
            token_class=said.token_class,
            tokens=said.tokens,
            amount_said=said.amount,
            amount=line.amount,
            currency=said.currency,
            units_per_usd=line.units_per_usd,
            usd=line.usd,
        )

    def _write(self, charges: list[Charge]) -> None:
        known = {}
        if self._invoices is not None and charges:
            known = self._invoices.known([charge.line_id for charge in charges])
        due = []
        for charge in charges:
            self._seen.add(charge.line_id)
            self._accounts.add(charge.account)
            before = known.get(charge.line_id)
            if before == charge.compared:
                self.tally.known += 1
                continue
            if before is None:
                self.tally.new += 1
            else:
                self.tally.changed += 1
            due.append(charge)
        if self._invoices is not None:
            self._invoices.write(due)

    def _others(self) -> None:
        """What an earlier export of the same accounts and days had beside these lines."""
        tally = self.tally
        if self._invoices is None or tally.first is None or tally.last is None:
            return
        others = self._invoices.elsewhere(
            self._converter.form.name, self._accounts, tally.first, tally.last, self._seen
        )
        if self._replace and not tally.unread:
            self._invoices.remove(others)
            tally.removed = len(others)
        else:
            tally.left = len(others)
