"""The numbers by which what is shown refers to its definition."""

from __future__ import annotations

from itertools import accumulate

from reports.figures.figure import Figure, Table

_LINE = 95
"""Characters of a line of small print, roughly."""


class References:
    """Numbers figures and tables in the order in which they are first shown."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._definitions: list[tuple[str, str]] = []

    def to(self, *shown: Figure | Table) -> str:
        """The numbers of these, such as `3` or `3, 4`; one definition has one number."""
        numbers = [self.number(one.title, one.definition) for one in shown]
        return ", ".join(dict.fromkeys(numbers))

    def number(self, title: str, definition: str) -> str:
        """The number of a definition."""
        if definition not in self._numbers:
            self._numbers[definition] = len(self._numbers) + 1
            self._definitions.append((title, definition))
        return str(self._numbers[definition])

    def columns(self) -> list[list[dict[str, str]]]:
        """Number, title and text of each, in order, in two columns of about the same length."""
        found = [
            {"ref": str(number), "title": title[:1].upper() + title[1:], "text": text}
            for number, (title, text) in enumerate(self._definitions, start=1)
        ]
        lengths = list(accumulate(_lines(one) for one in found))
        half = sum(1 for length in lengths if length <= (lengths[-1] + 1) // 2)
        return [found[:half], found[half:]]


def _lines(one: dict[str, str]) -> int:
    return -(-len(f"{one['ref']} {one['title']}. {one['text']}") // _LINE)
