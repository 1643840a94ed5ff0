"""Many ids in questions to ClickHouse, which takes a statement of 256 KiB at most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

IDS_AT_ONCE = 1000
CHARACTERS_AT_ONCE = 60_000
"""Each character may take four bytes of the statement."""


def id_groups(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids in order, as many together as fit into one statement."""
    some: list[str] = []
    size = 0
    for one in ids:
        if some and (len(some) == IDS_AT_ONCE or size + len(one) > CHARACTERS_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(one)
        size += len(one)
    if some:
        yield some
