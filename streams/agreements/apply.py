"""Agreements into the ledger: true-ups, each counted once, and only for what it lacks.

The true-ups of an agreement and a month are numbered, and the number is in the id: of two that were
worked out from the same ledger the first counts, and whoever sent the other looks again and finds
what is left. So running it again does nothing, and spend that came late is trued up alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date

from aiokafka import AIOKafkaProducer

from sinks.clickhouse import ClickHouse
from streams.agreements.book import Agreement
from streams.agreements.eligible import reference
from streams.agreements.statement import Statement, read_statement
from streams.guard.money import usd
from streams.trueup.append import Wait, append_true_ups
from streams.trueup.money import Amount, TrueUp

_IDS = "SELECT adjustment_id FROM adjustments WHERE startsWith(adjustment_id, {prefix:String})"


@dataclass(frozen=True, slots=True)
class Applied:
    """What the ledger got for an agreement: ``pico`` dollars in ``true_ups`` adjustments."""

    agreement: str
    true_ups: int
    pico: int


@dataclass(frozen=True, slots=True)
class Applier:
    """Trues the ledger up. ``journal``: `<cluster id>/<topic>` that the producer appends to;
    ``note``: who and why, for the reader of the ledger."""

    clickhouse: ClickHouse
    producer: AIOKafkaProducer
    journal: str
    note: str
    wait: Wait

    async def apply(self, agreement: Agreement, month: date) -> Applied:
        """True the month up; can be cut off anywhere, and run again.

        Raises UserError where a shortfall has nobody to go to or nothing was ever metered,
        ClickHouseError, KafkaError, and what ``wait`` raises.
        """
        appended, before = 0, None
        while True:
            # In this order: a true-up that comes in between is in the difference, or has taken the
            # number; the other way round it would be made twice.
            turn = await asyncio.to_thread(self._turn, agreement.name, month)
            found = await asyncio.to_thread(read_statement, self.clickhouse, agreement, month)
            held = sum(found.applied.values())
            before = held if before is None else before
            true_up = true_up_of(found, turn, self.note)
            if not true_up.amounts:
                return Applied(agreement.name, appended, held - before)
            done = await append_true_ups(
                self.clickhouse, self.producer, self.journal, [true_up], self.wait
            )
            appended += len(done.new)

    def _turn(self, name: str, month: date) -> int:
        prefix = _prefix(name, month)
        rows = self.clickhouse.query(_IDS, {"prefix": prefix})
        turns = [str(row[0]).removeprefix(prefix).partition(".")[0] for row in rows]
        return max((int(turn) + 1 for turn in turns if turn.isdecimal()), default=0)


def true_up_of(statement: Statement, turn: int, note: str) -> TrueUp:
    """What the ledger lacks of a statement, as the true-up of that number. Raises UserError."""
    name, month = statement.agreement.name, statement.month
    return TrueUp(
        f"{_prefix(name, month)}{turn}",
        reference(name, month),
        note,
        tuple(
            Amount(place.day, usd(pico), place.named)
            for place, pico in statement.to_apply().items()
        ),
    )


def _prefix(name: str, month: date) -> str:
    return f"true_up/agreement/{name}/{month:%Y-%m}/"
