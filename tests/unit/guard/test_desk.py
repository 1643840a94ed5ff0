"""The desk: each transition of an alert's history once."""

from __future__ import annotations

import asyncio

import pytest

from schemas.alerts import Alert
from streams.alerts.desk import AlertDesk
from tests.support.alerts import an_alert


class Topic:
    """Where a desk publishes to: keeps what it was given, or refuses it."""

    def __init__(self) -> None:
        self.published: list[Alert] = []
        self.closed = False

    async def publish(self, alert: Alert) -> None:
        await asyncio.sleep(0)
        if self.closed:
            raise ConnectionError("no broker")
        self.published.append(alert)


@pytest.fixture
def topic() -> Topic:
    return Topic()


OPENED = an_alert()
RESOLVED = an_alert(transition="resolved", severity="info")
OTHER = an_alert(threshold="100")


async def test_a_transition_is_published_once(topic):
    desk = AlertDesk(topic.publish)
    await desk.hand_in([OPENED, OPENED])
    await desk.hand_in([OPENED, OTHER])
    assert topic.published == [OPENED, OTHER]


async def test_who_detects_it_at_the_same_time_does_not_publish_it_again(topic):
    desk = AlertDesk(topic.publish)
    await asyncio.gather(*(desk.hand_in([OPENED]) for _ in range(5)))
    assert topic.published == [OPENED]


async def test_what_was_never_opened_is_not_resolved(topic):
    desk = AlertDesk(topic.publish)
    await desk.hand_in([RESOLVED])
    assert topic.published == []
    await desk.hand_in([OPENED, RESOLVED, RESOLVED])
    assert topic.published == [OPENED, RESOLVED]


async def test_what_an_earlier_desk_published_is_known(topic):
    desk = AlertDesk(topic.publish)
    desk.remember([OPENED])
    await desk.hand_in([OPENED, RESOLVED])
    assert topic.published == [RESOLVED]
    assert {alert.transition_id for alert in desk.known} == {
        OPENED.transition_id,
        RESOLVED.transition_id,
    }


async def test_what_could_not_be_published_is_published_by_the_next_try(topic):
    desk = AlertDesk(topic.publish)
    topic.closed = True
    with pytest.raises(ConnectionError):
        await desk.hand_in([OPENED])
    assert desk.known == []
    topic.closed = False
    await desk.hand_in([OPENED])
    assert topic.published == [OPENED]


async def test_open_alerts_are_those_that_are_not_resolved(topic):
    desk = AlertDesk(topic.publish)
    await desk.hand_in([OPENED, OTHER, RESOLVED])
    assert desk.open_alerts() == [OTHER]


async def test_a_state_from_before_the_evidence_resolves_nothing(topic):
    desk = AlertDesk(topic.publish)
    desk.remember([an_alert(position=50)])
    older = an_alert(transition="resolved", severity="info", position=49)
    await desk.hand_in([older])
    assert topic.published == []
    same = an_alert(transition="resolved", severity="info", position=50)
    await desk.hand_in([same])
    assert topic.published == [same]


async def test_positions_of_another_journal_say_nothing_about_age(topic):
    desk = AlertDesk(topic.publish)
    desk.remember([an_alert(position=50)])
    elsewhere = an_alert(transition="resolved", journal="another/llm.spend", position=3)
    await desk.hand_in([elsewhere])
    assert topic.published == [elsewhere]
