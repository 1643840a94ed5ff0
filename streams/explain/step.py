"""One step of an explanation: a figure, the query that gives it, and the steps that it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from schemas.journal import money_text


@dataclass(frozen=True, slots=True)
class Step:
    """``amount``: USD, None where the step is no sum of money, or it is not known. ``facts``: lines
    for a reader. ``sql``: asks for the same figure again. ``doubt``: why it does not add up."""

    title: str
    amount: Decimal | None = None
    facts: tuple[str, ...] = ()
    sql: str | None = None
    doubt: str | None = None
    because: tuple[Step, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """For machines: money is exact text, and what there is not is left out."""
        document: dict[str, Any] = {"title": self.title}
        if self.amount is not None:
            document["usd"] = money_text(self.amount)
        if self.facts:
            document["facts"] = list(self.facts)
        for name in ("sql", "doubt"):
            if (text := getattr(self, name)) is not None:
                document[name] = text
        if self.because:
            document["because"] = [step.as_json() for step in self.because]
        return document

    def doubts(self) -> Iterator[str]:
        """Everything in it that does not add up."""
        if self.doubt is not None:
            yield self.doubt
        for step in self.because:
            yield from step.doubts()


def plural(count: int, noun: str) -> str:
    """`1 call`, `2,000 calls`, `1 entry`, `2 entries`."""
    if count == 1:
        return f"1 {noun}"
    ending = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {ending}"
