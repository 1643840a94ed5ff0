"""The notifier: each transition to every channel that is to be told, when it is to be told.

A delivery is put on record as pending when it is taken on, and as delivered when the channel has
taken it. After a crash in between it is made again: at least once on the wire, under the same id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from schemas.alerts import Alert, Severity, Silence
from sinks.alert_log import AlertLog, Delivery
from sinks.channels import Backoff, Channel
from streams.alerts.delivery import BACKOFF, Deliveries
from streams.alerts.history import Histories, History
from streams.alerts.policy import Policy
from streams.health import apart, done
from streams.stage import Stopped, persist

log = logging.getLogger(__name__)


class Notifier:
    """Takes transitions that count (`Histories`), and tells channels of them by the policy."""

    def __init__(
        self,
        channels: Sequence[Channel],
        alert_log: AlertLog,
        stop: asyncio.Event,
        policy: Policy | None = None,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self._names = tuple(channel.name for channel in channels)
        self._policy = policy or Policy()
        self._log = alert_log
        self._stop = stop
        self._histories = Histories()
        self._silences: dict[str, Silence] = {}
        self._deliveries = Deliveries(channels, alert_log, stop, self._moot, backoff)
        self._taken: set[str] = set()
        self._told: dict[tuple[str, str, str], tuple[datetime, Severity]] = {}
        self._reminded: dict[tuple[str, str, int], int] = {}
        self._unrecorded: list[tuple[Alert | None, list[Delivery]]] = []
        self._being_recorded = 0
        self._recording: asyncio.Task[None] | None = None

    async def resume(
        self, published: Iterable[Alert], histories: Histories, silences: Iterable[Silence] = ()
    ) -> None:
        """Go on where an earlier notifier stopped.

        ``published``: the transitions that the alerts topic holds and that count; ``histories``:
        those that the caller keeps up to date.
        """
        recorded, pending, threads, reminded = await persist(
            "reading deliveries", lambda: asyncio.to_thread(self._read), self._stop
        )
        self._histories = histories
        self._silences = {silence.silence: silence for silence in silences}
        self._taken |= {alert.transition_id for alert in recorded}
        self._reminded |= reminded
        self._deliveries.resume(pending, threads)
        for alert in published:
            self.take(alert)

    def hear(self, silence: Silence) -> None:
        """A silence begins, or one that is known is changed."""
        self._silences[silence.silence] = silence

    def silences(self, now: datetime) -> list[Silence]:
        """The silences in force."""
        return [silence for silence in self._silences.values() if now < silence.until]

    def take(self, alert: Alert) -> None:
        """Begin to deliver a transition, and to put it on record: neither waits for the other.

        What was not on record yet when this process ended is found in the topic by the next.
        """
        if alert.transition_id in self._taken:
            return
        self._taken.add(alert.transition_id)
        now = datetime.now(UTC)
        names = () if alert.quiet else self._channels_of(alert)
        deliveries = [self._delivery(alert, name, now) for name in names]
        self._begin(alert, deliveries)

    def tick(self, now: datetime) -> None:
        """Tell again of what is open and nobody has acknowledged."""
        for history in self._histories.all():
            alert = history.newest
            if history.acknowledged or not history.is_open_at(now) or alert.quiet:
                continue
            times = self._policy.reminders(alert, history.worst, now)
            for name in self._channels_of(alert) if times else ():
                key = (alert.alert_id, name, alert.number)
                if self._reminded.get(key, 0) < times:
                    self._reminded[key] = times
                    due, digest = self._policy.due(alert, history.worst, now)
                    self._begin(None, [Delivery(alert, name, "pending", now, due, times, digest)])

    @property
    def delivering(self) -> int:
        """Deliveries under way or waiting for their next try, or until they are due."""
        return self._deliveries.count

    @property
    def unrecorded(self) -> int:
        """Alerts that are not on record in ClickHouse yet."""
        return len(self._unrecorded) + self._being_recorded

    @property
    def undelivered(self) -> int:
        """Deliveries and records under way or waiting for their next try."""
        recording = self._recording is not None and not self._recording.done()
        return self._deliveries.count + int(recording)

    async def close(self) -> None:
        """Stop trying: whoever resumes finds on record, or in the topic, what is pending."""
        if self._recording is not None:
            self._recording.cancel()
            await asyncio.gather(self._recording, return_exceptions=True)
        await self._deliveries.close()
        self._taken.clear()

    def _read(
        self,
    ) -> tuple[
        list[Alert],
        list[Delivery],
        dict[tuple[str, str], str],
        dict[tuple[str, str, int], int],
    ]:
        log = self._log
        return log.published(), log.pending(), log.threads(), log.reminded()

    def _history(self, alert: Alert) -> History:
        return self._histories.get(alert.alert_id) or History(alert, alert, worst=alert.severity)

    def _channels_of(self, alert: Alert) -> tuple[str, ...]:
        return self._policy.channels_of(alert, self._history(alert).worst, self._names)

    def _delivery(self, alert: Alert, channel: str, now: datetime) -> Delivery:
        worst = self._history(alert).worst
        subject = (alert.rule, alert.scope_text, channel)
        due, digest = self._policy.due(alert, worst, now, self._told.get(subject))
        if alert.transition != "resolved":
            self._told[subject] = (due, worst)
        return Delivery(alert, channel, "pending", alert.at, due, digest=digest)

    def _moot(self, delivery: Delivery) -> str:
        """Why nobody is told any more, now that it is due; empty where somebody is."""
        alert, now = delivery.alert, datetime.now(UTC)
        for silence in self._silences.values():
            if silence.matches(alert, now):
                return f"silenced by {silence.by} until {silence.until:%Y-%m-%d %H:%M} UTC"
        waited = delivery.due > delivery.at or delivery.reminder > 0
        newest = self._history(alert).newest
        if waited and newest.number > alert.number and newest.transition == "resolved":
            return "resolved before it was due"
        return ""

    def _begin(self, alert: Alert | None, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._deliveries.start(delivery)
        self._unrecorded.append((alert, deliveries))
        if self._recording is None or self._recording.done():
            self._recording = apart(self._record_all())

    async def _record_all(self) -> None:
        """Put on record what came while the last record was being made, in one insert each."""
        while self._unrecorded:
            batch, self._unrecorded = self._unrecorded, []
            self._being_recorded = len(batch)

            def record() -> None:
                # In this order: an alert on record without its deliveries is taken for done.
                self._log.record_deliveries([d for _, pending in batch for d in pending])  # noqa: B023 - awaited in this turn
                self._log.record_alerts([alert for alert, _ in batch if alert is not None])  # noqa: B023

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
