"""Repair: adjustments for what the ledger has wrong, the log's events for what the archive lacks.

An adjustment has the id of what it corrects and of how often that was corrected before. Whoever
repairs twice, at the same time or after a crash, appends the same id, which counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from aiokafka import AIOKafkaProducer

from schemas.journal import Adjustment, adjustment_headers, encode_rows
from schemas.topics import JOURNAL
from sinks.archive import Archive
from streams.landing.archive import archive_rows
from streams.metering.events import Read
from streams.reconciliation.causes import ADJUSTED, Cause, Explanation
from streams.reconciliation.ranges import RangeDifference
from streams.reconciliation.usage_log import UsageLog

REASON = "reconciliation"


async def archive_again(
    log: UsageLog, archive: Archive, explanations: Iterable[Explanation], read: Read
) -> int:
    """Write the events of ranges that the archive lacks, from the log; how many were written."""
    written = 0
    for explanation in explanations:
        if explanation.cause is not Cause.MISSING_IN_ARCHIVE:
            continue
        records = await log.records(explanation.difference)
        if records is None:  # retention was faster
            continue
        events, _ = await asyncio.to_thread(read, records)
        rank = await asyncio.to_thread(archive.register_source)
        await asyncio.to_thread(archive.write, archive_rows(events), [], rank)
        written += events.height
    return written


async def adjust(
    producer: AIOKafkaProducer, explanations: Iterable[Explanation], max_payload: int
) -> list[int]:
    """Append adjustments for what the ledger has wrong; their positions. Raises KafkaError."""
    positions = []
    for explanation in explanations:
        if explanation.cause not in ADJUSTED:
            continue
        for adjustment, payload in adjustments(explanation, max_payload):
            sent = await producer.send_and_wait(
                JOURNAL,
                payload,
                partition=0,
                headers=adjustment_headers("reconcile", adjustment),
            )
            positions.append(int(sent.offset))
    return positions


def adjustments(explanation: Explanation, max_payload: int) -> Iterator[tuple[Adjustment, bytes]]:
    """The adjustment that corrects a range, with its payload; several where it is too large."""
    difference = explanation.difference
    key = difference.partition
    parts = list(_payloads(difference.rows, max_payload))
    for number, payload in enumerate(parts):
        yield (
            Adjustment(
                adjustment_id=_identity(difference, number, len(parts)),
                reason=REASON,
                source=key.source,
                partition=key.partition,
                start=difference.start,
                through=difference.through,
                note=f"{explanation.cause}: {explanation.detail}"[:500],
            ),
            payload,
        )


def _identity(difference: RangeDifference, part: int, parts: int) -> str:
    name = f"{REASON}/{difference.partition}/{difference.start}-{difference.through}"
    turn = f"{name}/{difference.adjustments}"
    return turn if parts == 1 else f"{turn}.{part}"


def _payloads(rows: pa.Table, max_payload: int) -> Sequence[bytes]:
    payload = encode_rows(rows)
    if len(payload) <= max_payload or rows.num_rows <= 1:
        return [payload]
    half = rows.num_rows // 2
    return [*_payloads(rows.slice(0, half), max_payload), *_payloads(rows.slice(half), max_payload)]
