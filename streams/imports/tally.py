"""What came of an import: counts, sums and reasons, for the summary and the list of rejects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

from schemas.errors import Refusal
from schemas.usage import UsageEvent
from streams.imports.convert import figures
from streams.imports.values import as_json

FIRST_LINES = 5
"""Lines that the summary names for each reason."""


@dataclass(slots=True)
class Reason:
    """Rows with one reason: how many, which first, and a sentence about the first."""

    detail: str
    count: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, line: int) -> None:
        """One more."""
        self.count += 1
        if len(self.lines) < FIRST_LINES and line not in self.lines:
            self.lines.append(line)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {"count": self.count, "first": self.lines, "such_as": self.detail}


@dataclass(slots=True)
class Tally:
    """Counts of one import. ``rejects`` gets a line of JSON for each row that was not read."""

    unit: str = "line"
    rejects: IO[str] | None = None
    rows: int = 0
    sent: int = 0
    known: int = 0
    tokens: int = 0
    cost: Decimal | None = None
    """What the source says that it cost, USD; None: it says nothing."""
    first: datetime | None = None
    last: datetime | None = None
    rejected: dict[str, Reason] = field(default_factory=dict)
    passed: dict[str, Reason] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """Events that were read and are, or were, counted."""
        return self.sent + self.known

    @property
    def lost(self) -> int:
        """Rows that could not be read."""
        return sum(reason.count for reason in self.rejected.values())

    def add(self, event: UsageEvent, *, known: bool) -> None:
        """An event that was read."""
        if known:
            self.known += 1
        else:
            self.sent += 1
        counts, cost = figures(event)
        self.tokens += sum(count or 0 for count in counts)
        if cost is not None:
            self.cost = cost if self.cost is None else self.cost + cost
        at = event.occurred_at
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)

    def reject(self, line: int, why: Refusal, original: Mapping[str, Any] | str) -> None:
        """A row that could not be read."""
        self.rejected.setdefault(why.code, Reason(why.detail)).add(line)
        if self.rejects is not None:
            said = {self.unit: line, "reason": why.code, "detail": why.detail, "original": original}
            self.rejects.write(as_json(said).encode(errors="replace").decode() + "\n")

    def pass_over(self, line: int, code: str, detail: str) -> None:
        """A row that is no usage, or not yet."""
        self.passed.setdefault(code, Reason(detail)).add(line)

    def as_document(self) -> dict[str, Any]:
        """For machines: money as decimal text, times in UTC."""
        return {
            "rows": self.rows,
            "events": self.events,
            "sent": self.sent,
            "known": self.known,
            "tokens": self.tokens,
            "provider_cost_usd": None if self.cost is None else f"{self.cost:f}",
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
            "passed": {code: reason.as_json() for code, reason in self.passed.items()},
            "rejected": {code: reason.as_json() for code, reason in self.rejected.items()},
        }

    def lines(self, name: str, *, dry: bool) -> list[str]:
        """The summary in words."""
        span = "" if self.first is None or self.last is None else _span(self.first, self.last)
        cost = "says no cost" if self.cost is None else f"says ${self.cost:f}"
        told = [
            f"{name}: {self.rows:,} rows, {self.events:,} events{span}",
            f"  {self.tokens:,} tokens; the source {cost}",
        ]
        if dry:
            told.append(f"  would be sent, unless known before: {self.events:,}")
        else:
            told.append(f"  sent {self.sent:,}, known before {self.known:,}")
        told += self._reasons("passed over", self.passed)
        return told + self._reasons("could not be read", self.rejected)

    def _reasons(self, what: str, reasons: Mapping[str, Reason]) -> list[str]:
        if not reasons:
            return []
        told = [f"  {what}: {sum(reason.count for reason in reasons.values()):,}"]
        for code, reason in sorted(reasons.items(), key=lambda item: -item[1].count):
            where = ", ".join(map(str, reason.lines))
            more = ", …" if reason.count > len(reason.lines) else ""
            plural = "s" if len(reason.lines) > 1 else ""
            told.append(
                f"    {reason.count:,} {code} ({self.unit}{plural} {where}{more}), "
                f"such as: {reason.detail}"
            )
        return told


def _span(first: datetime, last: datetime) -> str:
    return f", {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
