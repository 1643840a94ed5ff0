"""The guard without faust: the gate of the start rule, its concerns, the desk and the notifier."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from schemas.alerts import Alert, Silence, read_record
from sinks.alert_log import AlertLog
from sinks.channels import Channel
from sinks.clickhouse import ClickHouseError
from streams.alerts.channels import alerting_of
from streams.alerts.desk import AlertDesk, Publish
from streams.alerts.notifier import Notifier
from streams.alerts.topic import read_topic
from streams.budgets.budgets import Budgets
from streams.detectors.repeats import repeats
from streams.detectors.storms import Storms
from streams.guard.budget_landing import BudgetLanding
from streams.guard.concern import AsOf, Concern
from streams.guard.concerns import concerns_of, storm_rule
from streams.guard.drift import ARCHIVE, archive_drift, drift_alert
from streams.guard.rule_files import RuleFiles
from streams.guard.state import Drift, Follower, compare, load_follower
from streams.quotas.quotas import Quotas
from streams.settings import Settings
from streams.stage import persist
from streams.stores import clickhouse

log = logging.getLogger(__name__)

STALL_SECONDS = 3.0
"""Entries that were fetched are handed on within this time, or they never are."""
UNHEARD_SECONDS = 10.0
"""A transition that was published comes back within this time, or it never does."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

C = TypeVar("C", bound=Concern)


class Guard:
    """Follows one journal. Its gate is closed while its state is not loaded.

    ``drift``: the last comparison of each concern, and of the archive.
    """

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
        self._asking = clickhouse(settings)
        self._alert_log = AlertLog(self._clickhouse)
        self._channels = channels
        self.notifier = Notifier(channels, self._alert_log, stop, alerting_of(settings).policy)
        self._rules = RuleFiles(settings)
        self.quotas = Quotas(settings)
        self._landing = BudgetLanding(clickhouse(settings), settings.budgets)
        self.desk = AlertDesk(self._unpublished)
        self._follower: Follower | None = None
        self.drift: dict[str, Drift] = {}
        self._gate = asyncio.Event()
        self._older_periods: set[tuple[str, int]] = set()
        self._epoch = 0
        self._loading = asyncio.Lock()
        self.failure: Exception | None = None
        self.publish: Publish = self._unpublished
        self.journal_end: Callable[[], int | None] = lambda: None
        """The journal's end as the last fetch told it; None where none has."""
        self._in_hand = 0
        self._stall = (0, time.monotonic())

    async def _unpublished(self, record: Alert | Silence) -> None:
        raise AssertionError("the app has not connected the alerts topic")

    def fail(self, error: Exception) -> None:
        """Note an unexpected error and ask the process to end: its supervisor starts it anew."""
        if self.failure is None:
            self.failure = error
            log.error("unexpected error, stopping", exc_info=error)
        self._stop.set()

    @property
    def follower(self) -> Follower:
        """The state. Only while it is `ready`."""
        if self._follower is None:
            raise AssertionError("nothing is loaded yet")
        return self._follower

    def concern(self, kind: type[C]) -> C:
        """The concern of this kind. Only while the guard is `ready`."""
        (found,) = [c for c in self.follower.concerns if isinstance(c, kind)]
        return found

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
            alerts, silences = await persist(
                "reading the alerts topic", lambda: read_topic(self._settings), self._stop
            )
            recorded = await persist(
                "reading alerts", lambda: asyncio.to_thread(self._alert_log.published), self._stop
            )
            desk = AlertDesk(self.publish)
            desk.remember(recorded)
            published = [alert for alert in alerts if desk.histories.accept(alert)]
            announced = [history.newest for history in desk.histories.all()]
            follower = await persist(
                "loading the guard's state", lambda: self._load(at, announced), self._stop
            )
            if epoch != self._epoch:
                return
            self.desk = desk
            await self.notifier.resume(published, desk.histories, silences)
            self._follower = follower
            await self.desk.hand_in(follower.due())
            self.quotas.follow(self.concern(Budgets), follower.at)
            log.info("guarding from entry %d", follower.at.position + 1)
            self._gate.set()

    async def take(self, position: int, headers: Any, value: bytes | None) -> None:
        """One journal entry.

        The journal has no holes. An entry beyond the next one was in flight at a rebalance; those
        before it are in the ledger, or will be: the state is loaded anew, from there.
        """
        await self._gate.wait()
        self._in_hand += 1
        try:
            while position > self.follower.at.position + 1:
                log.info("entry %d is not the next one; loading the state anew", position)
                await self._reload(position)
            alerts = self.follower.take(position, headers, value)
            self.quotas.follow(self.concern(Budgets), self.follower.at)
            await self.desk.hand_in(alerts)
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
        record = read_record(value)
        if isinstance(record, Silence):
            self.notifier.hear(record)
        elif record is not None and await self.desk.hear(record):
            self.notifier.take(record)

    async def tick(self) -> None:
        """What time alone brings: storms that are over, a budgets file that was changed."""
        if not self.ready:
            return
        await self.desk.hand_in(self.follower.due())
        self.quotas.follow(self.concern(Budgets), self.follower.at)
        self.notifier.tick(datetime.now(UTC))
        if self._rules.changed():
            await self._reload(self.follower.at.position + 1)
        elif (end := self._stalled()) is not None:
            log.warning("entries up to %d were not handed on; loading the state anew", end - 1)
            await self._reload(end)
        elif self.concern(Budgets).wants_older:
            log.info("something was spent in a period of long ago; loading the state anew")
            await self._reload(self.follower.at.position + 1)
        elif self.desk.unheard_for() >= UNHEARD_SECONDS:
            log.warning("an alert did not come back on its topic; loading the state anew")
            await self._reload(self.follower.at.position + 1)

    def _stalled(self) -> int | None:
        """The journal's end where entries before it were fetched and have not come for a while.

        faust may drop what it has in flight at a rebalance. The next entry tells so by its
        position, but there may be none for long.
        """
        due = self.follower.at.position + 1
        end = self.journal_end()
        now = time.monotonic()
        if self._in_hand or end is None or end <= due or due != self._stall[0]:
            self._stall = (due, now)
            return None
        return end if now - self._stall[1] >= STALL_SECONDS else None

    async def look_for_repeats(self) -> None:
        """Ask the archive who repeats prompts: the journal does not know them."""
        if not self.ready:
            return
        storms, now = self.concern(Storms), self.follower.clock.now()
        rule = storm_rule(self._settings)
        since, until = storms.watched(now)
        if since < EARLIEST:  # nothing was seen yet
            return
        try:
            found = await asyncio.to_thread(repeats, self._asking, since, until, rule)
        except ClickHouseError as error:
            log.warning("nobody knows who repeats prompts: %s", error)
            return
        if self.ready and storms in self.follower.concerns:
            storms.observe(found, now)
            await self.desk.hand_in(self.follower.due())

    async def land_budgets(self) -> None:
        """Put on record, for SQL, where budgets stand that have changed."""
        if self.ready:
            await self._landing.land(self.follower)

    async def check_drift(self) -> None:
        """Compare with ClickHouse as of the same position; what differs raises an alert."""
        if not self.ready:
            return
        for concern in self.follower.concerns:
            at = self.follower.at
            drift = await compare(concern, self.follower, self._clickhouse)
            if drift is not None:
                await self._report(concern.name, drift, at)

    async def check_archive(self) -> None:
        """Compare archive and ledger; what differs raises an alert."""
        if not self.ready:
            return
        at = self.follower.at
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
        self._asking.close()
        self._landing.close()

    async def _load(self, committed: int, announced: Sequence[Alert]) -> Follower:
        return await load_follower(
            lambda: self._concerns(announced),
            self._clickhouse,
            self._journal,
            committed,
            self._stop,
        )

    def _concerns(self, announced: Sequence[Alert]) -> Sequence[Concern]:
        rules = self._rules
        return concerns_of(
            self._settings, rules.budgets, rules.detectors, announced, self._older_periods
        )
