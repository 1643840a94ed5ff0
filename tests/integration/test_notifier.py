"""The notifier with a real alert log: nothing is forgotten, nothing is sent twice for no reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from schemas.alerts import Alert, Silence
from sinks.alert_log import AlertLog
from sinks.channels import Backoff, DeliveryDelayed, DeliveryRejected
from streams.alerts.history import Histories
from streams.alerts.notifier import Notifier
from streams.alerts.policy import Digest, Policy, Renotify, Route
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
        self.threads: list[str | None] = []
        self.reminders: list[int] = []
        self.digests: list[list[Alert]] = []
        self.reachable = asyncio.Event()
        self.reachable.set()

    async def send(self, alert: Alert, thread: str | None = None, reminder: int = 0) -> str | None:
        self.asked.append(alert)
        await self.reachable.wait()
        if self.answers:
            raise self.answers.pop(0)
        self.accepted.append(alert)
        self.threads.append(thread)
        self.reminders.append(reminder)
        return thread or f"thread of {alert.alert_id}"

    async def send_digest(self, alerts: Sequence[Alert]) -> None:
        if self.answers:
            raise self.answers.pop(0)
        self.digests.append(list(alerts))

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

    async def make(
        *receivers: Receiver,
        published: tuple[Alert, ...] = (),
        histories: Histories | None = None,
        policy: Policy | None = None,
        silences: tuple[Silence, ...] = (),
    ) -> Notifier:
        notifier = Notifier(receivers, log, asyncio.Event(), policy, QUICK)
        made.append(notifier)
        known = histories or Histories()
        known.remember(published)
        await notifier.resume(published, known, silences)
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


RESOLVED = an_alert(transition="resolved", severity="info", number=2)


def states(clickhouse) -> list[tuple[str, str]]:
    return clickhouse.query(
        "SELECT transition, state FROM deliveries FINAL ORDER BY number, reminder"
    )


async def test_what_follows_goes_into_the_thread_of_the_first_over_restarts(notifier):
    slack, again = Receiver("slack"), Receiver("slack")
    first = await notifier(slack)
    first.take(A)
    await until(lambda: first.undelivered == 0)
    await first.close()
    second = await notifier(again, published=(A,))
    second.take(RESOLVED)
    await until(lambda: second.undelivered == 0)
    assert (slack.threads, again.threads) == ([None], [f"thread of {A.alert_id}"])


async def test_the_end_is_not_told_before_the_beginning(notifier):
    slack = Receiver("slack", *(DeliveryDelayed("answered 503") for _ in range(3)))
    running = await notifier(slack)
    running.take(A)
    running.take(RESOLVED)
    await until(lambda: running.undelivered == 0)
    assert slack.accepted == [A, RESOLVED]


async def test_a_silence_tells_nobody_and_is_on_record(notifier, clickhouse):
    slack, now = Receiver("slack"), datetime.now(UTC)
    silence = Silence(
        silence="s", scope={"team": "search"}, until=now + timedelta(hours=1), by="ada", at=now
    )
    running = await notifier(slack, silences=(silence,))
    running.take(A)
    await until(lambda: running.undelivered == 0)
    assert (slack.asked, states(clickhouse)) == ([], [("opened", "skipped")])
    assert running.silences(now) == [silence]
    running.hear(silence.model_copy(update={"until": now}))
    running.take(B)
    await until(lambda: slack.accepted == [B])


async def test_a_digest_is_one_message_of_what_was_collected(notifier, clickhouse):
    slack = Receiver("slack", DeliveryDelayed("answered 503"))
    policy = Policy(digest=Digest(timedelta(seconds=1), "warning"))
    running = await notifier(slack, policy=policy)
    running.take(A)
    running.take(B)
    await until(lambda: running.undelivered == 0)
    told = [alert.threshold for digest in slack.digests for alert in digest]
    assert (sorted(told), slack.accepted) == (["100", "80"], [])
    assert set(states(clickhouse)) == {("opened", "delivered")}


async def test_what_is_over_before_it_was_due_is_not_told(notifier, clickhouse):
    slack, histories = Receiver("slack"), Histories()
    policy = Policy(cooldown=timedelta(seconds=1))
    running = await notifier(slack, histories=histories, policy=policy)
    for alert in (an_alert(period="2026-02"), A, RESOLVED):
        histories.accept(alert)
        running.take(alert)
    await until(lambda: running.undelivered == 0)
    assert A not in slack.accepted
    assert ("opened", "skipped") in states(clickhouse)


async def test_routes_choose_the_channels(notifier):
    ops, finance = Receiver("ops"), Receiver("finance")
    policy = Policy((Route(("finance",), ("budget",)), Route(("ops",), ("retry_storm",))))
    running = await notifier(ops, finance, policy=policy)
    running.take(A)
    await until(lambda: running.undelivered == 0)
    assert (ops.asked, finance.accepted) == ([], [A])


async def test_what_nobody_acknowledges_is_told_again_once_per_while(notifier, clickhouse):
    slack, histories = Receiver("slack"), Histories()
    histories.accept(A)
    policy = Policy(renotify=Renotify(timedelta(hours=1), "warning"))
    running = await notifier(slack, histories=histories, policy=policy)
    running.take(A)
    for hours in (0.5, 1.2, 1.5, 2.1):
        running.tick(A.at + timedelta(hours=hours))
    await until(lambda: running.undelivered == 0)
    assert slack.reminders == [0, 1, 2]
    await running.close()
    later = Receiver("slack")
    second = await notifier(later, histories=histories, policy=policy)
    second.tick(A.at + timedelta(hours=2.5))
    histories.accept(an_alert(transition="acknowledged", number=2, by="ada"))
    second.tick(A.at + timedelta(hours=9))
    await until(lambda: second.undelivered == 0)
    assert later.asked == []
