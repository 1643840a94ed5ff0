"""The guard without faust: the gate of the start rule, its concerns, the desk and the notifier."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from schemas.alerts import Alert, read_alert
from schemas.errors import UserError
from schemas.topics import ALERTS
from sinks.alert_log import AlertLog
from sinks.channels import Channel
from sinks.clickhouse import ClickHouseError
from streams.alerts.desk import AlertDesk, Publish
from streams.alerts.notifier import Notifier
from streams.guard.budget_file import BudgetBook, read_budgets
from streams.guard.budgets import Budgets
from streams.guard.concern import AsOf, Concern
from streams.guard.drift import ARCHIVE, archive_drift, drift_alert
from streams.guard.state import Drift, Follower, compare, load_followers
from streams.guard.storms import StormRule, Storms
from streams.guard.totals import Totals
from streams.kafka import consumer, end_offsets
from streams.settings import Settings
from streams.stage import persist
from streams.stores import clickhouse

log = logging.getLogger(__name__)

STALL_SECONDS = 3.0
"""Entries that were fetched are handed on within this time, or they never are."""


class Guard:
    """Follows one journal. Its gate is closed while its state is not loaded.

    ``followers`` stand in the order of ``concern_names``; ``drift`` is the last comparison of each.
    """

    concern_names = ("totals", "budgets", "storms")

    def __init__(
        self,
        settings: Settings,
        journal: str,
        channels: Sequence[Channel],
        stop: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._stop = stop
        self._clickhouse = clickhouse(settings)
        self._alert_log = AlertLog(self._clickhouse)
        self._channels = channels
        self.notifier = Notifier(channels, self._alert_log, stop)
        self._book = read_budgets(settings.budgets) if settings.budgets else BudgetBook()
        self._book_stamp = _stamp(settings.budgets)
        self.desk = AlertDesk(self._unpublished)
        self.followers: list[Follower] = []
        self.drift: dict[str, Drift] = {}
        self._gate = asyncio.Event()
        self._epoch = 0
        self._loading = asyncio.Lock()
        self.failure: Exception | None = None
        self.publish: Publish = self._unpublished
        self.journal_end: Callable[[], int | None] = lambda: None
        """The journal's end as the last fetch told it; None where none has."""
        self._in_hand = 0
        self._stall = (0, time.monotonic())

    async def _unpublished(self, alert: Alert) -> None:
        raise AssertionError("the app has not connected the alerts topic")

    def fail(self, error: Exception) -> None:
        """Note an unexpected error and ask the process to end: its supervisor starts it anew."""
        if self.failure is None:
            self.failure = error
            log.error("unexpected error, stopping", exc_info=error)
        self._stop.set()

    @property
    def ready(self) -> bool:
        """True while the state is loaded and followed."""
        return self._gate.is_set()

    async def retire(self) -> None:
        """Another guard is active now: it takes up the deliveries that are pending."""
        self.close_gate()
        await self.notifier.close()

    def close_gate(self) -> None:
        """From now on the state may be another one's."""
        self._epoch += 1
        self._gate.clear()

    async def load(self, committed: Callable[[], Awaitable[int]]) -> None:
        """Load everything by the start rule and open the gate, unless it was closed again."""
        epoch = self._epoch
        async with self._loading:
            at = await committed()
            published = await persist("reading the alerts topic", self._published, self._stop)
            recorded = await persist(
                "reading alerts", lambda: asyncio.to_thread(self._alert_log.published), self._stop
            )
            desk = AlertDesk(self.publish)
            desk.remember([*recorded, *published])
            followers = await persist(
                "loading the guard's state", lambda: self._load(at, desk.known), self._stop
            )
            if epoch != self._epoch:
                return
            self.desk = desk
            await self.notifier.resume(published)
            self.followers = followers
            for follower in followers:
                await self.desk.hand_in(follower.due())
            log.info("guarding from entry %d", followers[0].at.position + 1)
            self._gate.set()

    async def take(self, index: int, position: int, headers: Any, value: bytes | None) -> None:
        """One journal entry, for one concern.

        The journal has no holes. An entry beyond the next one was in flight at a rebalance; those
        before it are in the ledger, or will be: the state is loaded anew, from there.
        """
        await self._gate.wait()
        self._in_hand += 1
        try:
            while position > self.followers[index].at.position + 1:
                log.info("entry %d is not the next one; loading the state anew", position)
                await self._reload(position)
            await self.desk.hand_in(self.followers[index].take(position, headers, value))
        finally:
            self._in_hand -= 1

    async def _reload(self, committed: int) -> None:
        self.close_gate()

        async def known() -> int:
            return committed

        await self.load(known)
        await self._gate.wait()

    async def notify(self, value: bytes | None) -> None:
        """One transition from the alerts topic, for the channels."""
        await self._gate.wait()
        alert = read_alert(value)
        if alert is not None:
            self.notifier.take(alert)

    async def tick(self) -> None:
        """What time alone brings: storms that are over, a budgets file that was changed."""
        if not self.ready:
            return
        for follower in self.followers:
            await self.desk.hand_in(follower.due())
        if _stamp(self._settings.budgets) != self._book_stamp:
            await self._reload_budgets()
        elif (end := self._stalled()) is not None:
            log.warning("entries up to %d were not handed on; loading the state anew", end - 1)
            await self._reload(end)

    def _stalled(self) -> int | None:
        """The journal's end where entries before it were fetched and have not come for a while.

        faust may drop what it has in flight at a rebalance. The next entry tells so by its
        position, but there may be none for long.
        """
        due = min(follower.at.position for follower in self.followers) + 1
        end = self.journal_end()
        now = time.monotonic()
        if self._in_hand or end is None or end <= due or due != self._stall[0]:
            self._stall = (due, now)
            return None
        return end if now - self._stall[1] >= STALL_SECONDS else None

    async def check_drift(self) -> None:
        """Compare with ClickHouse as of the same position; what differs raises an alert."""
        for follower in self.followers if self.ready else []:
            drift = await compare(follower, self._clickhouse)
            if drift is None:
                continue
            await self._report(follower.concern.name, drift, follower.at)

    async def check_archive(self) -> None:
        """Compare archive and ledger; what differs raises an alert."""
        if not self.ready:
            return
        at = self.followers[0].at
        # A connection of its own: alerts do not wait for the whole archive to be read.
        connection = clickhouse(self._settings)
        try:
            drift = await archive_drift(connection, at.position)
        except ClickHouseError as error:
            log.warning("archive and ledger were not compared: %s", error)
            return
        finally:
            connection.close()
        await self._report(ARCHIVE, drift, at)

    async def _report(self, name: str, drift: Drift, at: AsOf) -> None:
        self.drift[name] = drift
        if drift.differing:
            log.error("%s differs from the ledger: %s", name, drift.differing)
        await self.desk.hand_in([drift_alert(name, drift, at)])

    async def close(self) -> None:
        """Give back what is held."""
        await self.notifier.close()
        for channel in self._channels:
            await channel.close()
        self._clickhouse.close()

    async def _load(self, committed: int, announced: Sequence[Alert]) -> list[Follower]:
        return await load_followers(
            lambda: self._concerns(announced),
            self._clickhouse,
            self._journal,
            committed,
            self._stop,
        )

    def _concerns(self, announced: Sequence[Alert]) -> Sequence[Concern]:
        settings = self._settings
        rule = StormRule(
            settings.storm_window_minutes,
            settings.storm_min_calls,
            settings.storm_share_percent,
            settings.storm_quiet_seconds,
        )
        storms = Storms(rule)
        for alert in announced:
            storms.remember(alert)
        return (Totals(), Budgets(self._book), storms)

    async def _published(self) -> list[Alert]:
        """Everything that the alerts topic holds: one partition, compacted, small."""
        reader = consumer(self._settings)
        await reader.start()
        alerts: list[Alert] = []
        tp = TopicPartition(ALERTS, 0)
        try:
            reader.assign([tp])
            end = (await end_offsets(reader, [tp]))[tp]
            await reader.seek_to_beginning(tp)
            while await reader.position(tp) < end:
                for records in (await reader.getmany(timeout_ms=200)).values():
                    alerts += [alert for r in records if (alert := read_alert(r.value))]
        finally:
            await reader.stop()
        return alerts

    async def _reload_budgets(self) -> None:
        """A changed file: the whole state is loaded anew, so that it counts the whole period."""
        self._book_stamp = _stamp(self._settings.budgets)
        try:
            book = read_budgets(self._settings.budgets) if self._settings.budgets else BudgetBook()
        except UserError as error:
            log.error("the budgets in force stay, as the changed file is wrong: %s", error)
            return
        self._book = book
        log.info("budgets were changed: %d in force", len(book.budgets))
        applied = max(follower.at.position for follower in self.followers)
        await self._reload(applied + 1)


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """Changes when the file does. A file that is being replaced has none for a moment; one that
    cannot be looked at has none either, and reading it says why."""
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
