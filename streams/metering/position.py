"""Where a meter resumes: the next offset of each partition, found in what was written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from schemas.journal import SourcePartition
from sinks.clickhouse import ClickHouseError
from sinks.ledger import LedgerProgress
from streams.journal.fence import Mark
from streams.kafka import Committed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known before the journal's tail is read: marks, complete up to ``since``."""

    marks: Mapping[SourcePartition, Mark]
    since: int


def from_commits(
    committed: Mapping[SourcePartition, Committed | None], journal: str
) -> Known | None:
    """What the group's commits tell, if each names an entry of this journal; else None."""
    marks: dict[SourcePartition, Mark] = {}
    for partition, commit in committed.items():
        if commit is None or commit.position is None or commit.journal != journal:
            return None
        marks[partition] = Mark(commit.offset, commit.position)
    return Known(marks, min(mark.position for mark in marks.values())) if marks else None


def from_ledger(progress: LedgerProgress, partitions: Iterable[SourcePartition]) -> Known:
    """What the ledger tells: it is complete up to its highest position for every partition."""
    wanted = set(partitions)
    # A ledger sink may have written between the two queries: then a mark is newer than the rest.
    marks = {
        partition: Mark(following, max(at, progress.position))
        for partition, (following, at) in progress.marks.items()
        if partition in wanted
    }
    return Known(marks, progress.position)


async def known_positions(
    committed: Mapping[SourcePartition, Committed | None],
    journal: str,
    read_ledger: Callable[[], LedgerProgress],
) -> Known:
    """The best start for reading the journal: of commits and ledger, whichever is further.

    A partition without traffic has an old commit; the ledger is complete for it all the same. With
    neither, the journal is read from its beginning. It never guesses: whatever it starts from, the
    tail is read through the fence from there.
    """
    commits = from_commits(committed, journal)
    try:
        ledger = from_ledger(await asyncio.to_thread(read_ledger), committed)
    except ClickHouseError as error:
        if commits is not None:
            return commits
        log.warning("reading the journal from its beginning, as ClickHouse did not help: %s", error)
        return Known({}, -1)
    further = {
        partition: Mark(commit.offset, commit.position)
        for partition, commit in committed.items()
        if commit is not None
        and commit.journal == journal
        and commit.position is not None
        and commit.position > ledger.since
    }
    return Known({**ledger.marks, **further}, ledger.since)
