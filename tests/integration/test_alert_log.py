"""Alerts and deliveries in ClickHouse: a repeated write changes nothing, an outcome stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sinks.alert_log import AlertLog, Delivery
from tests.support.alerts import NOON, an_alert

pytestmark = pytest.mark.slow


@pytest.fixture
def log(clickhouse):
    return AlertLog(clickhouse)


def pending(alert, channel="slack"):
    return Delivery(alert, channel, "pending", alert.at, due=alert.at)


def test_an_alert_comes_back_as_it_was_recorded(log):
    alert = an_alert(
        scope={"team": 'se"arch – 検索', "application": "a'b"},
        contributors=[{"name": "reports", "cost": "0.000000000001", "calls": 3}],
    )
    log.record_alerts([alert])
    assert log.published() == [alert]


def test_an_alert_that_is_recorded_twice_is_in_the_history_once(log, clickhouse):
    for _ in range(2):
        log.record_alerts([an_alert()])
    assert log.published() == [an_alert()]
    assert clickhouse.query("SELECT rule, transition, value FROM alert_history") == [
        ("budget", "opened", an_alert().value)
    ]


def test_transitions_of_an_alert_are_listed_by_time(log):
    opened = an_alert()
    resolved = an_alert(transition="resolved", number=2, at=NOON + timedelta(minutes=1))
    log.record_alerts([resolved])
    log.record_alerts([opened])
    assert log.published() == [opened, resolved]


def test_an_amount_that_is_not_known_stays_unknown(log, clickhouse):
    log.record_alerts([an_alert(value=None, limit=None)])
    assert clickhouse.query("SELECT value, limit FROM alert_history") == [(None, None)]


def test_a_pending_delivery_waits_for_its_outcome_per_channel(log):
    alert = an_alert()
    log.record_alerts([alert])
    log.record_deliveries([pending(alert, "slack"), pending(alert, "webhook")])
    waiting = sorted(log.pending(), key=lambda delivery: delivery.channel)
    assert waiting == [pending(alert, "slack"), pending(alert, "webhook")]

    outcome = replace(
        pending(alert), state="delivered", at=NOON + timedelta(milliseconds=1), attempts=3
    )
    log.record_deliveries([outcome])
    assert [d.channel for d in log.pending()] == ["webhook"]


@pytest.mark.parametrize("state", ["delivered", "rejected"])
def test_an_outcome_stays_whenever_the_pending_is_recorded_again(log, clickhouse, state):
    alert = an_alert()
    log.record_alerts([alert])
    outcome = replace(
        pending(alert), state=state, at=NOON + timedelta(seconds=1), attempts=2, error="no"
    )
    log.record_deliveries([outcome])
    log.record_deliveries([pending(alert)])
    assert log.pending() == []
    clickhouse.command("OPTIMIZE TABLE deliveries FINAL")
    assert clickhouse.query("SELECT state, attempts, error FROM deliveries") == [(state, 2, "no")]


def test_the_transitions_of_one_alert_are_delivered_apart(log):
    opened, resolved = an_alert(), an_alert(transition="resolved", number=2)
    for alert in (opened, resolved):
        log.record_alerts([alert])
        log.record_deliveries([pending(alert)])
    log.record_deliveries(
        [replace(pending(opened), state="delivered", at=NOON + timedelta(seconds=1))]
    )
    assert [d.alert for d in log.pending()] == [resolved]


def test_a_long_history_keeps_every_transition(log):
    chain = [
        an_alert(transition=what, number=number)
        for number, what in enumerate(("opened", "resolved", "restated", "resolved"), 1)
    ]
    log.record_alerts(chain)
    assert log.published() == chain


def test_the_view_of_open_alerts_has_what_is_not_over(log, clickhouse):
    soon = datetime.now(UTC) + timedelta(days=1)
    log.record_alerts(
        [
            an_alert(threshold="1"),
            an_alert(threshold="2"),
            an_alert(threshold="2", transition="resolved", number=2),
            an_alert(threshold="3", until=NOON),
            an_alert(threshold="4", until=NOON, review=True),
            an_alert(threshold="5", until=soon),
            an_alert(threshold="6"),
            an_alert(threshold="6", transition="acknowledged", number=2, by="ada"),
        ]
    )
    rows = clickhouse.query("SELECT threshold, transition, by FROM open_alerts ORDER BY 1")
    assert rows == [
        ("1", "opened", None),
        ("4", "opened", None),
        ("5", "opened", None),
        ("6", "acknowledged", "ada"),
    ]


def test_threads_and_reminders_outlive_the_process(log):
    alert = an_alert()
    log.record_alerts([alert])
    for reminder in (0, 1, 2):
        told = replace(
            pending(alert), state="delivered", reminder=reminder, thread=f"C1:{reminder}"
        )
        log.record_deliveries([told])
    assert log.threads() == {(alert.alert_id, "slack"): "C1:2"}
    assert log.reminded() == {(alert.alert_id, "slack", 1): 2}


def test_no_deliveries_are_no_insert(log, clickhouse):
    log.record_deliveries([])
    assert clickhouse.query("SELECT count() FROM deliveries") == [(0,)]
