"""The usage that flows while faults are injected: a producer that gives up on no event.

It runs in a thread and a loop of its own, so that nothing the harness does holds it up.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError, KafkaError

from schemas.topics import USAGE
from tests.chaos.events import RECENT, Event, EventSource
from tests.support.waiting import wait_until

TICK_SECONDS = 0.02
MOST_PENDING = 2000
"""Unacknowledged events at which the traffic waits: a producer's buffer is not endless either."""
REPEATED = 0.02
"""Share of events that are published a second time, as a client does that missed the answer."""
SKEWED = 0.2
"""Share of events that come from the producer whose clock is wrong, while there is one."""


@dataclass(frozen=True, slots=True)
class Ack:
    """An event that the broker has taken: where it stands, and when (monotonic) that was known."""

    event: Event
    partition: int
    offset: int
    at: float


class Traffic:
    """A steady rate of events; `resume` names the round that they are of, `pause` ends it."""

    def __init__(self, bootstrap: str, source: EventSource, rate: float, seed: int) -> None:
        self.rate = rate
        self.skew: timedelta | None = None
        """How far the clock of one producer is off."""
        self.acked: list[Ack] = []
        self.turned_away = 0
        """Events that the broker did not take for their time."""
        self._bootstrap = bootstrap
        self._source = source
        self._dice = Random(seed)
        self._epoch: str | None = None
        self._recent: deque[Event] = deque(maxlen=RECENT)
        self._repeats = True
        self._pending = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended = True
        if self._thread.ident is not None:
            self._thread.join(30)

    def resume(self, epoch: str, *, repeats: bool = True) -> None:
        """Publish events of this round; they repeat and take back none that were made before, and
        none at all without ``repeats``."""
        self._repeats = repeats
        self._recent.clear()
        self._source.forget()
        self._epoch = epoch

    def pause(self, seconds: float) -> None:
        """Publish nothing more, and wait until everything published is acknowledged."""
        self._epoch = None
        wait_until("an acknowledgement of every event", self._is_quiet, seconds)

    def cut(self, at: float, since: int = 0) -> dict[int, int]:
        """Per partition, the offset after the last event acknowledged by then (monotonic).

        Only of those acknowledged after the first ``since``.
        """
        ends: dict[int, int] = {}
        for ack in self.acked[since:]:
            if ack.at <= at:
                ends[ack.partition] = max(ends.get(ack.partition, 0), ack.offset + 1)
        return ends

    def _is_quiet(self) -> bool:
        if self._failure is not None:
            raise RuntimeError("the traffic broke off") from self._failure
        return self._pending == 0

    def _run(self) -> None:
        try:
            asyncio.run(self._publish())
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for us
            self._failure = error

    async def _publish(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            linger_ms=100,
            request_timeout_ms=10_000,
            retry_backoff_ms=200,
        )
        await producer.start()
        tasks: set[asyncio.Task[None]] = set()
        due, last = 0.0, time.monotonic()
        try:
            while not self._ended:
                await asyncio.sleep(TICK_SECONDS)
                now = time.monotonic()
                due += (now - last) * self.rate
                last = now
                epoch = self._epoch
                if epoch is None or self._pending > MOST_PENDING:
                    due = 0.0
                    continue
                for _ in range(int(due)):
                    due -= 1
                    for event in self._next(epoch):
                        self._pending += 1
                        task = asyncio.create_task(self._deliver(producer, event))
                        tasks.add(task)
                        task.add_done_callback(tasks.discard)
        finally:
            await producer.stop()

    def _next(self, epoch: str) -> list[Event]:
        skew = self.skew
        if skew is not None and self._dice.random() < SKEWED:
            event = self._source.call(epoch, datetime.now(UTC) + skew, early=skew > timedelta(0))
        else:
            event = self._source.next(epoch, datetime.now(UTC))
        if self._recent and self._repeats and self._dice.random() < REPEATED:
            return [event, self._dice.choice(self._recent)]
        return [event]

    async def _deliver(self, producer: AIOKafkaProducer, event: Event) -> None:
        """Until it is acknowledged. A repeated try may leave a copy: it has the same id."""
        try:
            while True:
                try:
                    sent = await producer.send_and_wait(
                        USAGE,
                        event.value,
                        key=event.team.encode(),
                        timestamp_ms=int(event.at.timestamp() * 1000),
                    )
                except InvalidTimestampError:
                    self.turned_away += 1
                    self._pending -= 1
                    return
                except KafkaError:
                    await asyncio.sleep(0.2)
                    continue
                break
        except BaseException as error:
            self._failure = error
            raise
        self.acked.append(Ack(event, sent.partition, sent.offset, time.monotonic()))
        if event.line is not None and event.epoch == self._epoch:
            self._recent.append(event)
        self._pending -= 1
