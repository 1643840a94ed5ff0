"""A sample of every kind of message through real channels: do they arrive?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.alerts import Alert, Rule
from sinks.alert_samples import RULES, as_test, history
from sinks.channels import Channel, DeliveryDelayed, DeliveryError

_TRIES = 3
_LONGEST_WAIT = 30.0  # seconds: somebody is waiting at the terminal


@dataclass(frozen=True, slots=True)
class Step:
    """One message: a transition, a reminder of it, or a digest of all that came before."""

    alert: Alert
    reminder: int = 0
    is_digest: bool = False

    @property
    def what(self) -> str:
        """What to call it: `budget escalated`."""
        if self.is_digest:
            return "digest"
        return f"{self.alert.rule} {'reminder' if self.reminder else self.alert.transition}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the messages to one channel. ``failed`` is None where all were taken."""

    channel: str
    taken: int
    failed: str | None = None


def steps(rule: Rule | None, now: datetime) -> list[Step]:
    """Everything that is sent: the whole history of one rule, then of each other its beginning.

    With ``rule`` nothing of the others. Every call makes alerts of its own.
    """
    run = now.isoformat()
    whole, *others = [rule] if rule else RULES
    alerts = [as_test(alert, run) for alert in history(whole, now)]
    alerts += [as_test(history(other, now)[0], run) for other in others]
    return [
        Step(alerts[0]),
        Step(alerts[0], reminder=1),
        *(Step(alert) for alert in alerts[1:]),
        Step(alerts[0], is_digest=True),
    ]


async def try_channel(
    channel: Channel, plan: Sequence[Step], progress: Callable[[], None] = lambda: None
) -> Outcome:
    """Send one after the other, up to the first that fails; ``progress`` is called after each."""
    threads: dict[str, str] = {}
    for taken, step in enumerate(plan):
        try:
            await _persistently(lambda: _send(channel, plan, step, threads))  # noqa: B023 - awaited in this turn
        except DeliveryError as error:
            return Outcome(channel.name, taken, f"{step.what}: {error}")
        progress()
    return Outcome(channel.name, len(plan))


async def _send(
    channel: Channel, plan: Sequence[Step], step: Step, threads: dict[str, str]
) -> None:
    alert = step.alert
    if step.is_digest:
        await channel.send_digest([one.alert for one in plan if not one.is_digest])
        return
    thread = await channel.send(alert, threads.get(alert.alert_id), step.reminder)
    if thread is not None:
        threads[alert.alert_id] = thread


async def _persistently(send: Callable[[], Awaitable[None]]) -> None:
    for _ in range(_TRIES - 1):
        try:
            return await send()
        except DeliveryDelayed as delayed:
            await asyncio.sleep(min(delayed.retry_after or 1.0, _LONGEST_WAIT))
    return await send()
