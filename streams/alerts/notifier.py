"""The notifier: hands each transition to every channel, and does not forget it before it is there.

A delivery is put on record as pending when it begins, and as delivered when the channel has taken
it. After a crash in between it is made again: at least once on the wire, under the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from schemas.alerts import Alert
from sinks.alert_log import AlertLog, Delivery, DeliveryState
from sinks.channels import Backoff, Channel, DeliveryDelayed, DeliveryRejected
from streams.health import apart, done
from streams.stage import Stopped, persist, sleep_unless

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=1.0, factor=2.0, cap=300.0)


class Notifier:
    """Delivers to its channels concurrently; a slow channel holds up no other."""

    def __init__(
        self,
        channels: Sequence[Channel],
        alert_log: AlertLog,
        stop: asyncio.Event,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._channels = {channel.name: channel for channel in channels}
        self._log = alert_log
        self._stop = stop
        self._backoff = backoff
        self._taken: set[str] = set()
        self._deliveries: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._unrecorded: list[tuple[Alert, list[Delivery]]] = []
        self._being_recorded = 0
        self._recording: asyncio.Task[None] | None = None
        self._random = random.Random()  # noqa: S311 - jitter

    async def resume(self, published: Iterable[Alert]) -> None:
        """Go on where an earlier notifier stopped; ``published``: what the alerts topic holds."""
        recorded = {alert.transition_id for alert in await self._recorded("published alerts")}
        pending = await persist(
            "reading pending deliveries", lambda: asyncio.to_thread(self._log.pending), self._stop
        )
        self._taken |= recorded
        for delivery in pending:
            self._start(delivery)
        for alert in published:
            self.take(alert)

    def take(self, alert: Alert) -> None:
        """Begin to deliver a transition, and to put it on record: neither waits for the other.

        What was not on record yet when this process ended is found in the topic by the next.
        """
        if alert.transition_id in self._taken:
            return
        self._taken.add(alert.transition_id)
        deliveries = [Delivery(alert, name, "pending", alert.at) for name in self._channels]
        for delivery in deliveries:
            self._start(delivery)

        self._unrecorded.append((alert, deliveries))
        if self._recording is None or self._recording.done():
            self._recording = apart(self._record_all())

    @property
    def delivering(self) -> int:
        """Deliveries under way or waiting for their next try."""
        return len(self._deliveries)

    @property
    def unrecorded(self) -> int:
        """Alerts that are not on record in ClickHouse yet."""
        return len(self._unrecorded) + self._being_recorded

    @property
    def undelivered(self) -> int:
        """Deliveries and records under way or waiting for their next try."""
        recording = self._recording is not None and not self._recording.done()
        return len(self._deliveries) + int(recording)

    async def close(self) -> None:
        """Stop trying: whoever resumes finds on record, or in the topic, what is pending."""
        tasks = [*self._deliveries.values(), *([self._recording] if self._recording else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._taken.clear()

    async def _recorded(self, what: str) -> list[Alert]:
        return await persist(
            f"reading {what}", lambda: asyncio.to_thread(self._log.published), self._stop
        )

    def _start(self, delivery: Delivery) -> None:
        channel = self._channels.get(delivery.channel)
        if channel is None:
            log.warning("channel %s is no longer set up; its alerts wait", delivery.channel)
            return
        key = (delivery.alert.transition_id, delivery.channel)
        if key in self._deliveries:  # under way since before the state was loaded anew
            return
        task = apart(self._deliver(delivery, channel))
        self._deliveries[key] = task
        task.add_done_callback(lambda _: self._deliveries.pop(key))

    async def _record_all(self) -> None:
        """Put on record what came while the last record was being made, in one insert each."""
        while self._unrecorded:
            batch, self._unrecorded = self._unrecorded, []
            self._being_recorded = len(batch)

            def record() -> None:
                # In this order: an alert on record without its deliveries is taken for done.
                self._log.record_deliveries([d for _, pending in batch for d in pending])  # noqa: B023 - awaited in this turn
                self._log.record_alerts([alert for alert, _ in batch])  # noqa: B023

            try:
                await persist("recording alerts", lambda: asyncio.to_thread(record), self._stop)
            except Stopped:
                log.info(
                    "stopped before %d alerts were on record; they are in the topic", len(batch)
                )
                return
            finally:
                self._being_recorded = 0
            done("flush")

    async def _deliver(self, delivery: Delivery, channel: Channel) -> None:
        attempts = delivery.attempts
        while not self._stop.is_set():
            attempts += 1
            try:
                await channel.send(delivery.alert)
            except DeliveryRejected as error:
                log.error("%s rejected an alert for good: %s", channel.name, error)
                await self._record(delivery, "rejected", attempts, str(error))
                return
            except Exception as error:  # noqa: BLE001 - a fault of ours must not lose an alert either
                asked = error.retry_after if isinstance(error, DeliveryDelayed) else None
                wait = self._backoff.delay(attempts, self._random, asked)
                log.warning("%s: %s; next try in %.1f s", channel.name, error, wait)
                await sleep_unless(self._stop, wait)
            else:
                await self._record(delivery, "delivered", attempts, "")
                return

    async def _record(
        self, delivery: Delivery, state: DeliveryState, attempts: int, error: str
    ) -> None:
        outcome = replace(
            delivery, state=state, at=datetime.now(UTC), attempts=attempts, error=error
        )
        try:
            await persist(
                "recording a delivery",
                lambda: asyncio.to_thread(self._log.record_deliveries, [outcome]),
                self._stop,
            )
        except Stopped:
            log.info("stopped before the delivery was on record; it will be made again")
