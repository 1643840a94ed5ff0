"""The alert desk: what detectors report becomes the next transition of an alert's history, once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

from schemas.alerts import Alert, Silence
from schemas.errors import UserError
from streams.alerts.history import Histories, History

log = logging.getLogger(__name__)

Publish = Callable[[Alert | Silence], Awaitable[None]]


class AlertDesk:
    """Publishes what is new, and knows the histories as the alerts topic has them.

    ``publish`` returns once the topic has a transition. Whether it counts is known when it is
    heard there: somebody else's may have come before it.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self.histories = Histories()
        self._sent: dict[str, float] = {}
        """Alerts with a transition of ours on its way, and since when (monotonic seconds)."""
        self._later: dict[str, Alert] = {}
        """What was reported of these meanwhile, the newest."""
        self._held: dict[str, Alert] = {}
        """Ends of reviews that nobody has acknowledged yet."""
        self._turn = asyncio.Lock()

    def remember(self, alerts: Iterable[Alert]) -> None:
        """Take note of transitions that were published before, in the order of the topic."""
        self.histories.remember(alerts)

    async def hand_in(self, states: Iterable[Alert]) -> None:
        """Publish the transitions that these reports make, if any."""
        # A timer must not see a transition as new while an agent is publishing it.
        async with self._turn:
            for state in states:
                await self._hand_in(state)

    async def acknowledge(self, alert_id: str, by: str) -> Alert:
        """Somebody takes the alert on. Raises UserError where there is nothing to take on."""
        async with self._turn:
            known = self.histories.get(alert_id)
            if known is None:
                raise UserError(f"no alert is known as {alert_id!r}; GET /v1/alerts lists them")
            alert = known.acknowledgement(by, datetime.now(UTC))
            await self._send(alert)
        return alert

    async def hear(self, alert: Alert) -> bool:
        """A transition has come on the topic: whether it counts."""
        accepted = self.histories.accept(alert)
        if accepted:
            log.info("%s: %s", alert.transition, alert.title)
        self._sent.pop(alert.alert_id, None)
        later = self._later.pop(alert.alert_id, None)
        if later is None and alert.transition == "acknowledged":
            later = self._held.pop(alert.alert_id, None)
        if later is not None:
            await self.hand_in([later])
        return accepted

    def unheard_for(self) -> float:
        """Seconds since the oldest transition that was published and has not come back."""
        return time.monotonic() - min(self._sent.values(), default=time.monotonic())

    def open_alerts(self) -> list[History]:
        """The histories of alerts that are open, in no particular order."""
        now = datetime.now(UTC)
        return [history for history in self.histories.all() if history.is_open_at(now)]

    async def _hand_in(self, state: Alert) -> None:
        if state.alert_id in self._sent:
            self._later[state.alert_id] = state
            return
        known = self.histories.get(state.alert_id)
        if known is None:
            alert = state if state.transition == "opened" else None
        else:
            alert = known.following(state)
        self._held.pop(state.alert_id, None)
        if known is not None and known.is_held and state.transition == "resolved":
            self._held[state.alert_id] = state
        if alert is not None:
            await self._send(alert.model_copy(update={"at": datetime.now(UTC)}))

    async def _send(self, alert: Alert) -> None:
        self._sent[alert.alert_id] = time.monotonic()
        try:
            await self._publish(alert)
        except BaseException:
            self._sent.pop(alert.alert_id, None)
            raise
