"""The outcome sink: `llm.outcomes` into ClickHouse.

It runs in the processes of the archive sink: both land what others say of calls, by row and
idempotently; it scales with them; and outcomes are few. (The web answers without ClickHouse, and
the ledger sink lands the journal only.) A record that is no outcome is passed over, with a line in
the log: nothing waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from schemas.errors import InvalidEvent
from schemas.outcome import decode_outcome
from schemas.topics import OUTCOMES
from sinks.outcomes import Outcomes, Read, Reported
from streams.health import Status, working
from streams.hints import commit_hint
from streams.kafka import cluster_id, stop_consumer
from streams.settings import Settings
from streams.stage import persist
from streams.stores import clickhouse
from streams.usage_consumer import Record, usage_consumer
from streams.work import Work

log = logging.getLogger(__name__)

GROUP = "spendstream-outcomes"
POLL_MS = 500
LAST_POLL_MS = 200
"""When it stops: what was acknowledged just before is landed, as the embedded broker forgets it."""
AT_ONCE = 5_000


class OutcomeSink(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """For the partitions that its group gives it. Where to resume is asked of ClickHouse."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next: dict[int, int] | None = None
        self._consumer: AIOKafkaConsumer = None  # until `run` knows the broker
        self._outcomes: Outcomes

    async def run(self, stop: asyncio.Event) -> None:
        """Land outcomes until told to stop."""
        with working("landing outcomes") as turn:
            cluster = await persist(
                "reaching the broker", lambda: cluster_id(self._settings), stop, abandon=True
            )
            connection = clickhouse(self._settings)
            self._outcomes = Outcomes(connection, f"{cluster}/{OUTCOMES}")
            self._consumer = usage_consumer(self._settings, GROUP)
            try:
                await persist("joining the outcome sinks", self._consumer.start, stop, abandon=True)
                self._consumer.subscribe([OUTCOMES], listener=self)
                await self._loop(turn, stop)
            finally:
                await stop_consumer(self._consumer)
                connection.close()

    def status(self) -> Status:
        """Ready while it lands outcomes, or waits for partitions."""
        if self._consumer is None:
            return Status(False, "reaching the broker")
        positioned = self._next is not None or not self._consumer.assignment()
        return Status(positioned, "landing outcomes" if positioned else "finding where to resume")

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Another one has them now; what it writes is not known here."""
        self._next = None

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Hold back until ClickHouse has said where to resume."""
        self._next = None
        self._consumer.pause(*assigned)

    async def _loop(self, turn: Work, stop: asyncio.Event) -> None:
        while not stop.is_set():
            turn.begin()
            if self._next is None and self._consumer.assignment():
                await persist("finding where outcomes resume", self._resume, stop, abandon=True)
            await self._land(POLL_MS, stop)
        await self._land(LAST_POLL_MS, stop)

    async def _resume(self) -> None:
        due = await asyncio.to_thread(self._outcomes.next_offsets)
        assigned = self._consumer.assignment()
        beginnings = await self._consumer.beginning_offsets(assigned)
        if assigned != self._consumer.assignment():
            return
        following = {tp.partition: due.get(tp.partition, beginnings[tp]) for tp in assigned}
        for tp in assigned:
            if following[tp.partition] < beginnings[tp]:
                lost = beginnings[tp] - following[tp.partition]
                log.error("retention removed %d outcomes of %s before they were read", lost, tp)
                following[tp.partition] = beginnings[tp]
            self._consumer.seek(tp, following[tp.partition])
        self._consumer.resume(*assigned)
        self._next = following
        log.info("landing outcomes from %s", following)

    async def _land(self, wait_ms: int, stop: asyncio.Event) -> None:
        batches = await self._consumer.getmany(timeout_ms=wait_ms, max_records=AT_ONCE)
        following = self._next
        if not batches or following is None:
            return
        reported, read = decoded(batches)
        await persist(
            "writing outcomes",
            lambda: asyncio.to_thread(self._outcomes.write, reported, read),
            stop,
        )
        following.update({partition: part.through + 1 for partition, part in read.items()})
        offsets = {TopicPartition(OUTCOMES, p): part.through + 1 for p, part in read.items()}
        await commit_hint(self._consumer, offsets)


def decoded(
    batches: Mapping[TopicPartition, Sequence[Record]],
) -> tuple[list[Reported], dict[int, Read]]:
    """The outcomes in these records, and how far each partition was read."""
    reported: list[Reported] = []
    read: dict[int, Read] = {}
    for tp, records in batches.items():
        refused = 0
        for record in records:
            try:
                outcome = decode_outcome(record.value)
            except InvalidEvent as error:
                refused += 1
                log.warning("%s-%d, offset %d: %s", OUTCOMES, tp.partition, record.offset, error)
            else:
                reported.append(Reported(outcome, tp.partition, record.offset, record.timestamp))
        read[tp.partition] = Read(records[-1].offset, refused)
    return reported, read
