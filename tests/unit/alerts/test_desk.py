"""The desk: what detectors report becomes the next transition of an alert's history, once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from schemas.alerts import Alert
from schemas.errors import UserError
from streams.alerts.desk import AlertDesk
from tests.support.alerts import NOON, an_alert


class Topic:
    """The alerts topic with a desk that hears it; or one that is closed, or slow to be heard."""

    def __init__(self) -> None:
        self.desk = AlertDesk(self.publish)
        self.published: list[Alert] = []
        self.closed = False
        self.heard = 0

    async def publish(self, alert: Alert) -> None:
        await asyncio.sleep(0)
        if self.closed:
            raise ConnectionError("no broker")
        self.published.append(alert)

    async def hear(self) -> None:
        while self.heard < len(self.published):
            self.heard += 1
            await self.desk.hear(self.published[self.heard - 1])

    async def hand_in(self, *states: Alert) -> None:
        await self.desk.hand_in(states)
        await self.hear()

    @property
    def history(self) -> list[tuple[int, str]]:
        return [(alert.number, alert.transition) for alert in self.published]


@pytest.fixture
def topic() -> Topic:
    return Topic()


OPENED = an_alert()
OVER = an_alert(transition="resolved", severity="info")
OTHER = an_alert(threshold="100")


async def test_a_state_that_goes_on_is_told_once(topic):
    await topic.hand_in(OPENED, OPENED)
    await topic.hand_in(OPENED, OTHER)
    assert [alert.threshold for alert in topic.published] == ["80", "100"]


async def test_who_reports_it_at_the_same_time_does_not_publish_it_again(topic):
    await asyncio.gather(*(topic.desk.hand_in([OPENED]) for _ in range(5)))
    assert len(topic.published) == 1


async def test_what_was_never_opened_is_not_resolved(topic):
    await topic.hand_in(OVER)
    assert topic.published == []


async def test_a_history_is_numbered(topic):
    for state in (OPENED, OVER, OVER, OPENED, OPENED, OVER):
        await topic.hand_in(state)
    assert topic.history == [(1, "opened"), (2, "resolved"), (3, "restated"), (4, "resolved")]


async def test_it_escalates_once_per_level(topic):
    for level in (1, 2, 2, 1, 3):
        await topic.hand_in(an_alert(level=level))
    assert topic.history == [(1, "opened"), (2, "escalated"), (3, "escalated")]


async def test_what_is_reported_while_a_transition_is_on_its_way_comes_after_it(topic):
    await topic.desk.hand_in([OPENED])
    await topic.desk.hand_in([OVER])
    assert topic.history == [(1, "opened")]
    await topic.hear()
    assert topic.history == [(1, "opened"), (2, "resolved")]


async def test_what_an_earlier_desk_published_is_known(topic):
    topic.desk.remember([OPENED])
    await topic.hand_in(OPENED, OVER)
    assert topic.history == [(2, "resolved")]


async def test_what_could_not_be_published_is_published_by_the_next_try(topic):
    topic.closed = True
    with pytest.raises(ConnectionError):
        await topic.hand_in(OPENED)
    topic.closed = False
    await topic.hand_in(OPENED)
    assert topic.history == [(1, "opened")]


async def test_of_two_guards_that_both_believe_they_are_active_one_is_heard(topic):
    other = AlertDesk(topic.publish)
    await topic.desk.hand_in([OPENED])
    await other.hand_in([an_alert(title="the same, by the other")])
    assert [await topic.desk.hear(alert) for alert in topic.published] == [True, False]
    assert [await other.hear(alert) for alert in topic.published] == [True, False]
    await topic.desk.hand_in([OVER])
    await other.hand_in([OVER])
    assert [await other.hear(alert) for alert in topic.published[2:]] == [True, False]


async def test_open_alerts_are_those_that_are_not_resolved_and_whose_period_goes_on(topic):
    ended = an_alert(threshold="50", until=NOON - timedelta(days=1))
    review = an_alert(threshold="120", until=NOON - timedelta(days=1), review=True)
    await topic.hand_in(OPENED, OTHER, ended, review, OVER)
    found = {history.newest.threshold for history in topic.desk.open_alerts()}
    assert found == {"100", "120"}


async def test_a_state_from_before_the_evidence_resolves_nothing(topic):
    topic.desk.remember([an_alert(position=50)])
    await topic.hand_in(an_alert(transition="resolved", position=49))
    assert topic.published == []
    await topic.hand_in(an_alert(transition="resolved", position=50))
    assert topic.history == [(2, "resolved")]


async def test_positions_of_another_journal_say_nothing_about_age(topic):
    topic.desk.remember([an_alert(position=50)])
    await topic.hand_in(an_alert(transition="resolved", journal="other/llm.spend", position=3))
    assert topic.history == [(2, "resolved")]


async def test_an_alert_is_acknowledged_once_and_by_name(topic):
    await topic.hand_in(OPENED)
    await topic.desk.acknowledge(OPENED.alert_id, "ada")
    await topic.hear()
    assert topic.history == [(1, "opened"), (2, "acknowledged")]
    assert topic.published[1].by == "ada"
    with pytest.raises(UserError, match="was acknowledged already, by ada"):
        await topic.desk.acknowledge(OPENED.alert_id, "bob")
    with pytest.raises(UserError, match="no alert is known as 'nothing'"):
        await topic.desk.acknowledge("nothing", "bob")


async def test_what_is_resolved_is_not_acknowledged(topic):
    await topic.hand_in(OPENED)
    await topic.hand_in(OVER)
    with pytest.raises(UserError, match="is resolved already"):
        await topic.desk.acknowledge(OPENED.alert_id, "ada")


async def test_an_escalation_wants_to_be_acknowledged_again(topic):
    await topic.hand_in(OPENED)
    await topic.desk.acknowledge(OPENED.alert_id, "ada")
    await topic.hear()
    await topic.hand_in(an_alert(level=2))
    await topic.desk.acknowledge(OPENED.alert_id, "bob")
    assert [what for _, what in topic.history] == [
        "opened",
        "acknowledged",
        "escalated",
        "acknowledged",
    ]


async def test_a_review_stays_open_until_somebody_has_acknowledged_it(topic):
    review = an_alert(review=True)
    await topic.hand_in(review)
    await topic.hand_in(OVER)
    assert topic.history == [(1, "opened")]
    await topic.desk.acknowledge(review.alert_id, "the board")
    await topic.hear()
    assert topic.history == [(1, "opened"), (2, "acknowledged"), (3, "resolved")]
