"""The notifier with a real alert log: nothing is forgotten, nothing is sent twice for no reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from schemas.alerts import Alert
from sinks.alert_log import AlertLog
from sinks.channels import Backoff, DeliveryDelayed, DeliveryRejected
from streams.alerts.notifier import Notifier
from tests.support.alerts import an_alert

pytestmark = pytest.mark.slow

QUICK = Backoff(first=0.01, factor=1.0, cap=0.01)
A, B = an_alert(), an_alert(threshold="100")


class Receiver:
    """The far end of a channel: answers as it is told, then accepts."""

    def __init__(self, name: str, *answers: Exception) -> None:
        self.name = name
        self.answers = list(answers)
        self.asked: list[Alert] = []
        self.accepted: list[Alert] = []
        self.reachable = asyncio.Event()
        self.reachable.set()

    async def send(self, alert: Alert) -> None:
        self.asked.append(alert)
        await self.reachable.wait()
        if self.answers:
            raise self.answers.pop(0)
        self.accepted.append(alert)

    async def close(self) -> None:
        """Nothing is held."""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is watched is outside of the loop
            await asyncio.sleep(0.01)


@pytest.fixture
def log(clickhouse):
    return AlertLog(clickhouse)


@pytest.fixture
async def notifier(log) -> AsyncIterator[Callable[..., Awaitable[Notifier]]]:
    made: list[Notifier] = []

    async def make(*receivers: Receiver, published: tuple[Alert, ...] = ()) -> Notifier:
        notifier = Notifier(receivers, log, asyncio.Event(), QUICK)
        made.append(notifier)
        await notifier.resume(published)
        return notifier

    yield make
    for one in made:
        await one.close()


async def test_every_channel_gets_every_transition_once(notifier, log):
    slack, hook = Receiver("slack"), Receiver("webhook")
    running = await notifier(slack, hook)
    for alert in (A, B, A):
        running.take(alert)
    await until(lambda: running.undelivered == 0)
    for receiver in (slack, hook):
        assert sorted(a.threshold for a in receiver.asked) == ["100", "80"]
    assert sorted(a.threshold for a in log.published()) == ["100", "80"]
    assert log.pending() == []


async def test_a_delay_is_tried_again_until_it_is_taken(notifier, log, clickhouse):
    slack = Receiver("slack", *(DeliveryDelayed("answered 503") for _ in range(3)))
    running = await notifier(slack)
    running.take(A)
    await until(lambda: running.undelivered == 0)
    assert slack.accepted == [A]
    assert clickhouse.query("SELECT state, attempts FROM deliveries FINAL") == [("delivered", 4)]


async def test_the_receivers_own_wait_delays_the_next_try(notifier):
    slack = Receiver("slack", DeliveryDelayed("answered 429", retry_after=0.3))
    running = await notifier(slack)
    loop = asyncio.get_running_loop()
    began = loop.time()
    running.take(A)
    await until(lambda: slack.accepted == [A])
    assert loop.time() - began >= 0.3


async def test_a_rejection_is_final_and_on_record(notifier, log, clickhouse):
    slack, hook = Receiver("slack", DeliveryRejected("answered 404: no_service")), Receiver("hook")
    running = await notifier(slack, hook)
    running.take(A)
    await until(lambda: running.undelivered == 0)
    assert (len(slack.asked), hook.accepted) == (1, [A])
    assert clickhouse.query("SELECT channel, state, error FROM deliveries FINAL ORDER BY 1") == [
        ("hook", "delivered", ""),
        ("slack", "rejected", "answered 404: no_service"),
    ]


async def test_a_channel_that_hangs_holds_up_no_other(notifier):
    slack, hook = Receiver("slack"), Receiver("webhook")
    slack.reachable.clear()
    running = await notifier(slack, hook)
    running.take(A)
    running.take(B)
    await until(lambda: len(hook.accepted) == 2)
    assert slack.accepted == []
    await until(lambda: running.undelivered == 2)


async def test_the_next_notifier_makes_the_deliveries_that_one_left_behind(notifier, log):
    slack, hook = Receiver("slack"), Receiver("webhook")
    slack.reachable.clear()
    first = await notifier(slack, hook)
    first.take(A)
    await until(lambda: len(log.pending()) == 1)
    await first.close()

    again, not_again = Receiver("slack"), Receiver("webhook")
    second = await notifier(again, not_again, published=(A,))
    second.take(A)
    await until(lambda: second.undelivered == 0)
    assert (again.accepted, not_again.asked) == ([A], [])
    assert log.pending() == []


async def test_what_was_published_and_never_recorded_is_delivered_at_the_start(notifier, log):
    slack = Receiver("slack")
    running = await notifier(slack, published=(A,))
    await until(lambda: running.undelivered == 0)
    assert (slack.accepted, log.published()) == ([A], [A])


async def test_deliveries_of_a_channel_that_is_gone_wait_for_it(notifier, log):
    slack = Receiver("slack")
    slack.reachable.clear()
    first = await notifier(slack)
    first.take(A)
    await until(lambda: len(log.pending()) == 1)
    await first.close()

    without = await notifier(Receiver("webhook"))
    await until(lambda: without.undelivered == 0)
    assert [delivery.channel for delivery in log.pending()] == ["slack"]
    back = Receiver("slack")
    await notifier(back)
    await until(lambda: back.accepted == [A])


async def test_an_alert_is_not_on_record_before_its_deliveries_are(notifier, log, clickhouse):
    """Killed between the two, the next notifier would take it for done."""
    slack = Receiver("slack")
    slack.reachable.clear()
    running = await notifier(slack)
    clickhouse.command("RENAME TABLE deliveries TO elsewhere")
    running.take(A)
    await until(lambda: slack.asked == [A])
    assert log.published() == []
    clickhouse.command("RENAME TABLE elsewhere TO deliveries")
    await until(lambda: log.published() == [A])
    assert [delivery.alert for delivery in log.pending()] == [A]
