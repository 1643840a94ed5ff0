"""Why a range differs: what the usage log and the progress tables say about it.

The log is the witness. An event that stands in it and is archived from another place was counted
again: a late duplicate. One that is archived nowhere is missing in the archive. Where retention has
removed the log, only what was recorded then can be said, and nothing is guessed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.journal import SourcePartition
from sinks.archive import Archive
from streams.metering.events import Read
from streams.reconciliation.ranges import RangeDifference
from streams.reconciliation.usage_log import UsageLog
from streams.usage_consumer import Record

NAMED = 3
"""Events that an explanation names."""


class Cause(StrEnum):
    """What makes a range differ."""

    LATE_DUPLICATE = "late duplicate"
    MISSING_IN_ARCHIVE = "missing archive rows"
    MISSING_IN_LEDGER = "missing ledger rows"
    UNMETERED = "lost to retention before it was metered"
    UNARCHIVED = "lost to retention before it was archived"
    RATED_DIFFERENTLY = "rated differently"
    UNKNOWN = "not explained"


ADJUSTED = frozenset({Cause.LATE_DUPLICATE, Cause.MISSING_IN_LEDGER, Cause.UNMETERED})
"""Repaired by an adjustment of the ledger."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A range that differs, why, and a sentence for the reader."""

    difference: RangeDifference
    cause: Cause
    detail: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the log says of a range. ``complete``: the log still has all of it. Ids of valid events:
    ``repeats`` are archived from another place, ``missing`` are not archived at all."""

    complete: bool
    repeats: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


def explain(difference: RangeDifference, evidence: Evidence | None) -> Explanation:
    """Judge one range. ``evidence`` None: the log could not be read, or is another cluster's."""
    figures = difference.figures
    if difference.unarchived:
        return Explanation(
            difference,
            Cause.UNARCHIVED,
            f"retention removed {difference.unarchived:,} offsets before the archive had read "
            "them; the ledger counted them and stays",
        )
    if evidence is not None and evidence.complete:
        said = []
        if evidence.missing:
            said.append(
                f"{len(evidence.missing):,} events are in the log and not in the archive: "
                f"{_some(evidence.missing)}"
            )
        if len(evidence.repeats) > difference.duplicates:
            late = [f"{name} (also at {place})" for name, place in evidence.repeats]
            said.append(
                f"{len(late) - difference.duplicates:,} events came again beyond the horizon or on "
                f"another partition, and were counted again; repeats here: {_some(late)}"
            )
        if said:
            # What the archive lacks is mended first; then it is seen what is left.
            cause = Cause.MISSING_IN_ARCHIVE if evidence.missing else Cause.LATE_DUPLICATE
            return Explanation(difference, cause, "; ".join(said))
    if not figures.calls and not figures.tokens:
        return Explanation(
            difference,
            Cause.RATED_DIFFERENTLY,
            "the same calls have other prices or attributes in archive and ledger; was a repricing "
            "cut off (run it again), or were meter and archive started with different price files?",
        )
    if difference.lost and figures.calls > 0:
        return Explanation(
            difference,
            Cause.UNMETERED,
            f"retention removed {difference.lost:,} offsets before they were metered; the archive "
            f"has {figures.calls:,} of these calls",
        )
    if (evidence is not None and evidence.complete) or figures.calls > 0:
        return Explanation(
            difference,
            Cause.MISSING_IN_LEDGER,
            f"the archive has {figures.calls:,} calls that the ledger's rows do not have",
        )
    return Explanation(
        difference,
        Cause.UNKNOWN,
        f"the archive lacks {-figures.calls:,} calls, and the log that could tell why cannot be "
        "read any more",
    )


def explained_without_log(differences: Sequence[RangeDifference]) -> list[Explanation]:
    """What the tables alone tell."""
    return [explain(difference, None) for difference in differences]


async def explained_by_log(
    log: UsageLog, archive: Archive, differences: Sequence[RangeDifference], read: Read
) -> list[Explanation]:
    """Explain ranges; those of the log's own source with it. Raises KafkaError."""
    explanations = []
    for difference in differences:
        evidence = None
        if difference.partition.source == archive.source and not difference.unarchived:
            records = await log.records(difference)
            evidence = await asyncio.to_thread(_evidence, difference, records, archive, read)
        explanations.append(explain(difference, evidence))
    return explanations


def _evidence(
    difference: RangeDifference, records: Sequence[Record] | None, archive: Archive, read: Read
) -> Evidence:
    if records is None:
        return Evidence(complete=False)
    events, _ = read(records)
    key = difference.partition
    repeats: list[tuple[str, str]] = []
    missing: list[str] = []
    places = archive.places_of(events["event_id"].to_list())
    for event_id, offset in events.select("event_id", "offset").iter_rows():
        place = places.get(event_id)
        if place is None:
            missing.append(event_id)
        elif place != (key.source, key.partition, offset):
            source, partition, first = place
            repeats.append((event_id, f"{SourcePartition(source, partition)} {first:,}"))
    return Evidence(complete=True, repeats=tuple(repeats), missing=tuple(missing))


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
