"""True-ups into the journal: each counts once, and whoever appends it again is told so.

A true-up belongs to no offsets. It stands on partition 0 of the newest source of usage, as the
ledger keeps all its figures by source partition, and covers the offsets 0 through -1: none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from schemas.errors import UserError
from schemas.journal import TRUE_UP, Adjustment, adjustment_headers, encode_rows
from schemas.topics import JOURNAL
from sinks.clickhouse import ClickHouse
from streams.trueup.money import PARTITION, TrueUp

Wait = Callable[[int], None]
"""Waits until the ledger has the journal entry at a position."""

_NEWEST_SOURCE = """
    SELECT source FROM ledger_progress WHERE accepted AND source != ''
    ORDER BY appended_at DESC, position DESC LIMIT 1
"""
_COUNTED = """
    SELECT adjustment_id, journal, position FROM adjustments
    WHERE adjustment_id IN {names:Array(String)}
"""


@dataclass(frozen=True, slots=True)
class Appended:
    """Ids of adjustments: those that count from now on, and those that counted before."""

    new: tuple[str, ...]
    known: tuple[str, ...]


async def append_true_ups(
    clickhouse: ClickHouse,
    producer: AIOKafkaProducer,
    journal: str,
    true_ups: Iterable[TrueUp],
    wait: Wait,
) -> Appended:
    """Append what does not count yet, and return when the ledger has it.

    ``journal``: `<cluster id>/<topic>`, where the ``producer`` appends. Can be cut off anywhere and
    run again. What counted before is left as it is, whatever its amounts were. Raises UserError
    where nothing was ever metered; ClickHouseError, KafkaError, and what ``wait`` raises.
    """
    parts = [(true_up, name, rows) for true_up in true_ups for name, rows in true_up.parts()]
    names = [name for _, name, _ in parts]
    known = await asyncio.to_thread(_counted, clickhouse, names)
    if len(known) == len(names):
        return Appended((), tuple(names))
    source = await asyncio.to_thread(newest_source, clickhouse)
    positions = {}
    for true_up, name, rows in parts:
        if name in known:
            continue
        adjustment = Adjustment(
            adjustment_id=name,
            reason=TRUE_UP,
            source=source,
            partition=PARTITION,
            start=0,
            through=-1,
            note=true_up.note,
        )
        sent = await producer.send_and_wait(
            JOURNAL,
            encode_rows(rows),
            partition=0,
            headers=adjustment_headers("true-up", adjustment),
        )
        positions[name] = int(sent.offset)
    await asyncio.to_thread(wait, max(positions.values()))
    # Somebody else may have appended the same id before us: then theirs counts.
    places = await asyncio.to_thread(_counted, clickhouse, names)
    new = tuple(n for n in names if n in positions and (journal, positions[n]) in places[n])
    return Appended(new, tuple(name for name in names if name not in new))


def newest_source(clickhouse: ClickHouse) -> str:
    """The source of usage that the ledger heard of last. Raises UserError where there is none."""
    for (source,) in clickhouse.query(_NEWEST_SOURCE):
        return str(source)
    raise UserError("the ledger is empty: there is nothing to true up; meter some usage first")


def _counted(clickhouse: ClickHouse, names: Collection[str]) -> dict[str, set[tuple[str, int]]]:
    """Which of these adjustments the ledger has, and where in which journal.

    Of any journal: a cluster that was set up anew has another, and the same ledger.
    """
    found: dict[str, set[tuple[str, int]]] = {}
    for name, journal, position in clickhouse.query(_COUNTED, {"names": list(names)}):
        found.setdefault(str(name), set()).add((str(journal), int(position)))
    return found
