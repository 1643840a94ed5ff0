"""The alert desk: every transition of every alert's history once, whoever detects it again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from schemas.alerts import Alert

log = logging.getLogger(__name__)

Publish = Callable[[Alert], Awaitable[None]]


class AlertDesk:
    """Knows what was published, and publishes what is new.

    An alert is resolved after it was opened, and by a state that is not older than the evidence.
    ``publish`` returns once the topic has it.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._known: dict[str, Alert] = {}
        self._turn = asyncio.Lock()

    def remember(self, alerts: Iterable[Alert]) -> None:
        """Take note of transitions that were published before."""
        for alert in alerts:
            self._known.setdefault(alert.transition_id, alert)

    async def hand_in(self, alerts: Iterable[Alert]) -> None:
        """Publish the transitions that are new."""
        # A timer must not see a transition as new while an agent is publishing it.
        async with self._turn:
            for alert in alerts:
                if alert.transition_id in self._known or not self._follows(alert):
                    continue
                await self._publish(alert)
                self._known[alert.transition_id] = alert
                log.info("%s: %s", alert.transition, alert.title)

    def _follows(self, alert: Alert) -> bool:
        if alert.transition == "opened":
            return True
        opened = self._known.get(f"{alert.alert_id}:opened")
        # A guard that starts may have loaded a state from before the evidence, where nothing was
        # crossed yet: what it takes for the end is the time before the beginning.
        return opened is not None and not (
            alert.journal == opened.journal and alert.position < opened.position
        )

    @property
    def known(self) -> list[Alert]:
        """Every published transition, in no particular order."""
        return list(self._known.values())

    def open_alerts(self) -> list[Alert]:
        """The opened transitions of alerts that are not resolved."""
        return [
            alert
            for alert in self._known.values()
            if alert.transition == "opened" and f"{alert.alert_id}:resolved" not in self._known
        ]
