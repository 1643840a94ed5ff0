"""What came of an import: counts, sums and reasons, for the summary."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from streams.imports.tally import Reason
from streams.invoices.line import Line

SHOWN = 20
"""Lines that are listed one by one; --json has all."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A line that was not read: where, and why."""

    number: int
    code: str
    detail: str


@dataclass(slots=True)
class Tally:
    """Counts of one import. ``usd`` is of all lines that were read, by what they charge."""

    new: int = 0
    known: int = 0
    changed: int = 0
    usd: dict[str, Decimal] = field(default_factory=dict)
    first: date | None = None
    last: date | None = None
    unread: list[Unread] = field(default_factory=list)
    passed: dict[str, Reason] = field(default_factory=dict)
    unmatched: dict[str, Decimal] = field(default_factory=dict)
    """Models that the ledger does not know under any name, with their USD."""
    left: int = 0
    """Lines of these days from an earlier export, which this one does not have."""
    removed: int = 0

    @property
    def lines(self) -> int:
        """Lines that were read."""
        return self.new + self.known + self.changed

    def read(self, line: Line, *, matched: bool) -> None:
        """Take note of a line that was read."""
        said = line.said
        self.usd[said.charge] = self.usd.get(said.charge, Decimal(0)) + line.usd
        self.first = said.day if self.first is None else min(self.first, said.day)
        self.last = said.last_day if self.last is None else max(self.last, said.last_day)
        if said.charge == "usage" and not matched:
            name = line.model or said.sku
            self.unmatched[name] = self.unmatched.get(name, Decimal(0)) + line.usd

    def pass_over(self, number: int, code: str, detail: str) -> None:
        """A line that charges nothing, or another service."""
        self.passed.setdefault(code, Reason(detail)).add(number)

    def as_document(self) -> dict[str, Any]:
        """For machines: money as decimal text."""
        return {
            "lines": self.lines,
            "new": self.new,
            "changed": self.changed,
            "known": self.known,
            "first_day": None if self.first is None else str(self.first),
            "last_day": None if self.last is None else str(self.last),
            "usd": {charge: f"{usd:f}" for charge, usd in sorted(self.usd.items())},
            "unmatched_models": {name: f"{usd:f}" for name, usd in sorted(self.unmatched.items())},
            "only_in_earlier_exports": self.left,
            "removed": self.removed,
            "passed": {code: reason.as_json() for code, reason in self.passed.items()},
            "unreadable": [
                {"line": one.number, "reason": one.code, "detail": one.detail}
                for one in self.unread
            ],
        }

    def words(self, name: str) -> list[str]:
        """The summary in words."""
        span = "" if self.first is None else f", {self.first} to {self.last}"
        told = [
            f"{name}: {self.lines:,} lines{span}",
            f"  new {self.new:,}, changed {self.changed:,}, known before {self.known:,}",
        ]
        told += [f"  {charge}: {_usd(usd)}" for charge, usd in sorted(self.usd.items())]
        for code, reason in self.passed.items():
            told.append(
                f"  passed over: {reason.count:,} {code.replace('_', ' ')} "
                f"(line {reason.lines[0]:,}: {reason.detail})"
            )
        told += self._unmatched()
        if self.left:
            told.append(
                f"  {self.left:,} lines of these days and accounts came by an earlier export and "
                "are not in this one; they still count: --replace takes them out"
            )
        if self.removed:
            told.append(f"  taken out, as this export does not have them: {self.removed:,}")
        if self.unread:
            told.append(f"  could not be read: {len(self.unread):,}")
            told += [f"    line {one.number:,}: {one.detail}" for one in self.unread[:SHOWN]]
            if (more := len(self.unread) - SHOWN) > 0:
                told.append(f"    … and {more:,} more (--json lists them)")
        return told

    def _unmatched(self) -> list[str]:
        if not self.unmatched:
            return []
        some = sorted(self.unmatched.items(), key=lambda one: (-abs(one[1]), one[0]))
        named = ", ".join(f"{name} ({_usd(usd)})" for name, usd in some[:5])
        more = f" and {len(some) - 5:,} more" if len(some) > 5 else ""
        return [
            f"  no model of the ledger has these names: {named}{more}; "
            "--map 'WORDS=MODEL' says which one is meant"
        ]


def _usd(amount: Decimal) -> str:
    """In full: a summary is checked against the export."""
    return f"{'-' if amount < 0 else ''}${abs(amount).normalize():f}"
