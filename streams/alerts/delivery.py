"""Deliveries under way: each waits until it is due, and is tried until the channel has it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from sinks.alert_log import AlertLog, Delivery, DeliveryState
from sinks.channels import Backoff, Channel, DeliveryDelayed, DeliveryRejected
from streams.health import apart
from streams.stage import Stopped, persist, sleep_unless

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=1.0, factor=2.0, cap=300.0)


class Deliveries:
    """Delivers to its channels concurrently; a slow channel holds up no other.

    What one alert has to say to one channel is said in its order: a channel that keeps a thread
    needs the first message before the second. Digests are one message of all that is due together.
    ``moot`` says why a delivery that is due is not to be made any more, or nothing.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        alert_log: AlertLog,
        stop: asyncio.Event,
        moot: Callable[[Delivery], str],
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._channels = {channel.name: channel for channel in channels}
        self._log = alert_log
        self._stop = stop
        self._moot = moot
        self._backoff = backoff
        self._running: dict[tuple[str, str, int], asyncio.Task[None]] = {}
        self._digests: dict[tuple[str, datetime], list[Delivery]] = {}
        self._threads: dict[tuple[str, str], str] = {}
        self._order: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._random = random.Random()  # noqa: S311 - jitter

    @property
    def count(self) -> int:
        """Deliveries that are not settled."""
        return len(self._running) + sum(len(parts) for parts in self._digests.values())

    def resume(self, pending: Iterable[Delivery], threads: Mapping[tuple[str, str], str]) -> None:
        """Take up what an earlier process left behind."""
        self._threads |= threads
        for delivery in pending:
            self.start(delivery)

    def start(self, delivery: Delivery) -> None:
        """Begin with a delivery, unless it is under way."""
        channel = self._channels.get(delivery.channel)
        if channel is None:
            log.warning("channel %s is no longer set up; its alerts wait", delivery.channel)
            return
        if delivery.key in self._running:  # since before the state was loaded anew
            return
        if delivery.digest:
            self._collect(delivery, channel)
            return
        self._run(delivery.key, self._deliver(delivery, channel))

    async def close(self) -> None:
        """Stop trying."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._digests.clear()

    def _run(self, key: tuple[str, str, int], work: Coroutine[Any, Any, None]) -> None:
        task = apart(work)
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key))

    def _collect(self, delivery: Delivery, channel: Channel) -> None:
        parts = self._digests.setdefault((channel.name, delivery.due), [])
        if any(known.key == delivery.key for known in parts):
            return
        parts.append(delivery)
        key = (f"digest {delivery.due.isoformat()}", channel.name, 0)
        if key not in self._running:
            self._run(key, self._deliver_digest(delivery.due, channel))

    async def _deliver(self, delivery: Delivery, channel: Channel) -> None:
        order = self._order.setdefault((delivery.alert.alert_id, channel.name), asyncio.Lock())
        await self._until(delivery.due)
        async with order:
            await self._try([delivery], channel, lambda parts: self._send(parts[0], channel))

    async def _deliver_digest(self, due: datetime, channel: Channel) -> None:
        await self._until(due)
        parts = self._digests.pop((channel.name, due), [])

        async def send(parts: Sequence[Delivery]) -> None:
            await channel.send_digest([part.alert for part in parts])

        await self._try(parts, channel, send)

    async def _send(self, delivery: Delivery, channel: Channel) -> str | None:
        place = (delivery.alert.alert_id, channel.name)
        thread = await channel.send(delivery.alert, self._threads.get(place), delivery.reminder)
        if thread is not None:
            self._threads[place] = thread
        return thread

    async def _try(
        self,
        parts: Sequence[Delivery],
        channel: Channel,
        send: Callable[[Sequence[Delivery]], Awaitable[str | None]],
    ) -> None:
        """Send until it is taken, refused for good, or moot; and put that on record."""
        attempts = max((part.attempts for part in parts), default=0)
        while not self._stop.is_set():
            parts = await self._without_moot(parts)
            if not parts:
                return
            attempts += 1
            try:
                thread = await send(parts)
            except DeliveryRejected as error:
                log.error("%s rejected an alert for good: %s", channel.name, error)
                await self._record(parts, "rejected", attempts, str(error))
                return
            except Exception as error:  # noqa: BLE001 - a fault of ours must not lose an alert either
                asked = error.retry_after if isinstance(error, DeliveryDelayed) else None
                wait = self._backoff.delay(attempts, self._random, asked)
                log.warning("%s: %s; next try in %.1f s", channel.name, error, wait)
                await sleep_unless(self._stop, wait)
            else:
                await self._record(parts, "delivered", attempts, "", thread)
                return

    async def _without_moot(self, parts: Sequence[Delivery]) -> list[Delivery]:
        due = []
        for part in parts:
            if reason := self._moot(part):
                await self._record([part], "skipped", part.attempts, reason)
            else:
                due.append(part)
        return due

    async def _until(self, due: datetime) -> None:
        if (seconds := (due - datetime.now(UTC)).total_seconds()) > 0:
            await sleep_unless(self._stop, seconds)

    async def _record(
        self,
        parts: Sequence[Delivery],
        state: DeliveryState,
        attempts: int,
        error: str,
        thread: str | None = None,
    ) -> None:
        now = datetime.now(UTC)
        outcomes = [
            replace(part, state=state, at=now, attempts=attempts, error=error, thread=thread)
            for part in parts
        ]
        try:
            await persist(
                "recording a delivery",
                lambda: asyncio.to_thread(self._log.record_deliveries, outcomes),
                self._stop,
            )
        except Stopped:
            log.info("stopped before the delivery was on record; it will be made again")
