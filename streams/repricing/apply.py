"""Applying it: the archive is rated anew in place, then the ledger follows by adjustments.

A source partition's repricings are numbered, and the number is the adjustment's id: of two that
were worked out from the same ledger the first counts, whoever sent it, and the other does nothing.
So the rule is compare-and-append here too. Whoever sent the other looks again, and finds what is
left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from aiokafka import AIOKafkaProducer

from schemas.errors import SpendstreamError
from schemas.journal import (
    ROW_SCHEMA,
    Adjustment,
    SourcePartition,
    adjustment_headers,
    encode_rows,
)
from schemas.topics import JOURNAL
from sinks.clickhouse import ClickHouse
from streams.rating.pricebook import PriceBook
from streams.reconciliation.sides import REPRICING, SUMS
from streams.repricing.pending import Correction, Group, corrections
from streams.repricing.preview import CHANGED
from streams.repricing.prices import record_prices
from streams.repricing.rated_sql import ADDED, rated
from streams.repricing.scope import Scope, Upto, chunks, events_of, keys_of

Wait = Callable[[int], None]
"""Waits until the ledger has the journal entry at a position."""

_TURNS = f"""
    SELECT source, partition, count() FROM adjustments WHERE reason = '{REPRICING}'
    GROUP BY source, partition
"""


class NotOnlyPrices(SpendstreamError):
    """Archive and ledger differ in more than prices: reconciliation comes first."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where}: archive and ledger differ in calls or tokens, not only in prices, and that "
            "is not hidden by repricing; run  spendstream reconcile  first"
        )


@dataclass(frozen=True, slots=True)
class Repricer:
    """Applies a price book to a scope. ``note``: who and why, for the reader of the ledger."""

    clickhouse: ClickHouse
    producer: AIOKafkaProducer
    book: PriceBook
    note: str
    max_payload: int
    wait: Wait

    async def apply(self, scope: Scope, advanced: Callable[[Scope], None] = lambda _: None) -> int:
        """Reprice; how many adjustments it took. Can be cut off anywhere, and run again.

        ``advanced`` is told each part of the time that is done, in archive and ledger.
        Raises ClickHouseError, KafkaError, NotOnlyPrices, and what ``wait`` raises.
        """
        await asyncio.to_thread(self._record, scope)
        appended = 0
        for part in await asyncio.to_thread(lambda: list(chunks(self.clickhouse, scope))):
            await asyncio.to_thread(self._rate_archive, part)
            while adjustments := await asyncio.to_thread(self._adjustments, part):
                positions = [await self._append(*adjustment) for adjustment in adjustments]
                await asyncio.to_thread(self.wait, max(positions))
                appended += len(positions)
            advanced(part)
        return appended

    def _record(self, scope: Scope) -> None:
        record_prices(self.clickhouse, self.book, keys_of(self.clickhouse, scope))

    def _rate_archive(self, scope: Scope) -> None:
        """Insert the events that change once more, with the precedence that they have.

        Of equal versions of a key the row that was inserted last counts, while it is read and when
        parts are merged. What is not to be deduplicated: the same rows may come back later, when a
        price is set back.
        """
        upto = Upto.now(self.clickhouse)
        self.clickhouse.command(
            "INSERT INTO usage_events "
            f"SELECT * EXCEPT ({', '.join(ADDED)}) REPLACE (new_cost_pico AS cost_pico, "
            "new_rating AS rating, new_price_ref AS price_ref) "
            f"FROM (SELECT * FROM ({rated(events_of(scope))}) WHERE {CHANGED}) "
            "SETTINGS insert_deduplicate = 0, max_partitions_per_insert_block = 0, "
            "optimize_on_insert = 0",
            {**scope.parameters, **upto.parameters, "book": self.book.version},
        )

    def _adjustments(self, scope: Scope) -> list[tuple[Adjustment, bytes]]:
        """One for each source partition that is left to do, at most as large as may be."""
        # In this order: an adjustment that comes in between is in the differences, or has taken
        # the number; the other way round it would be made twice.
        turns = {
            SourcePartition(source, int(partition)): int(count)
            for source, partition, count in self.clickhouse.query(_TURNS)
        }
        upto = Upto.now(self.clickhouse)
        return [
            adjustment_of(found, turns, self.note, self.max_payload)
            for found in corrections(self.clickhouse, scope, upto)
        ]

    async def _append(self, adjustment: Adjustment, payload: bytes) -> int:
        sent = await self.producer.send_and_wait(
            JOURNAL, payload, partition=0, headers=adjustment_headers("reprice", adjustment)
        )
        return int(sent.offset)


def adjustment_of(
    correction: Correction, turns: Mapping[SourcePartition, int], note: str, max_payload: int
) -> tuple[Adjustment, bytes]:
    """The next adjustment of a source partition: as many groups as a payload takes, at least one.

    Raises NotOnlyPrices where a group changes calls, tokens or what the provider charged.
    """
    key = correction.partition
    if any(map(_counts, correction.groups)):
        raise NotOnlyPrices(str(key))
    adjustment = Adjustment(
        adjustment_id=f"{REPRICING}/{key}/{turns.get(key, 0)}",
        reason=REPRICING,
        source=key.source,
        partition=key.partition,
        start=correction.start,
        through=correction.through,
        note=note,
    )
    return adjustment, _payload(correction.groups, max_payload)


def _counts(group: Group) -> bool:
    return any(sum(row[name] or 0 for row in group) for name in (*SUMS, "provider_cost"))


def _payload(groups: Sequence[Group], max_payload: int) -> bytes:
    """The groups, or the first half of them, and so on, until they are small enough."""
    while True:
        rows = [row for group in groups for row in group]
        payload = encode_rows(pa.Table.from_pylist(rows, schema=ROW_SCHEMA))
        if len(payload) <= max_payload or len(groups) == 1:
            return payload
        groups = groups[: len(groups) // 2]
