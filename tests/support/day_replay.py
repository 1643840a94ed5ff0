"""Sends a simulated day to a running stack, turn by turn.

A day that is replayed in seconds would reach the guard in entries of many hours, and while it is
killed and comes back half a day would pass. So each turn waits until the guard has taken the one
before: it never has to look back for longer than a turn, as if the day took a day.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException

from aiokafka import AIOKafkaProducer

from streams.traffic.publish import publish, usage_producer
from streams.traffic.records import Record
from tests.support.running_stack import RunningStack
from tests.support.waiting import wait_until

GUARD_SECONDS = 60.0


class DayReplay:
    """Publishes to one stack, and knows how much its guard has taken."""

    def __init__(self, stack: RunningStack, runner: asyncio.Runner) -> None:
        self._stack = stack
        self._runner = runner
        self._producer = runner.run(self._started())
        self._calls = 0

    def send(self, records: Sequence[Record]) -> None:
        """Publish, and wait until the guard has counted all."""
        self._runner.run(publish(self._producer, records, 0, lambda _: None))
        self._calls += sum(-1 if b"void:" in record.value else 1 for record in records)
        wait_until("the guard", lambda: self.counted() == self._calls, GUARD_SECONDS)

    def counted(self) -> int | None:
        """The calls that the guard has counted; None while it does not answer."""
        address = HTTPConnection("127.0.0.1", self._stack.ports.web, timeout=GUARD_SECONDS)
        with closing(address) as connection:
            try:
                connection.request("GET", "/v1/state")
                answer = connection.getresponse()
                state = json.load(answer)
            except (OSError, HTTPException):  # it was killed, or is not there yet
                return None
        return sum(part["calls"] for part in state["partitions"]) if answer.status == 200 else None

    def close(self) -> None:
        """Give back the connection."""
        self._runner.run(self._producer.stop())

    async def _started(self) -> AIOKafkaProducer:
        producer = usage_producer(self._stack.settings)
        await producer.start()
        return producer


@contextmanager
def replaying(stack: RunningStack) -> Iterator[DayReplay]:
    """A replay to a stack that is up."""
    with asyncio.Runner() as runner:
        replay = DayReplay(stack, runner)
        try:
            yield replay
        finally:
            replay.close()
