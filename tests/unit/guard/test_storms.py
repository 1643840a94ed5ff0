"""Retry storms: what is one, when it is over, and that it keeps its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.alerts import Alert
from streams.guard.concern import AsOf
from streams.guard.storms import KEEP_MINUTES, Storm, StormRule, Storms
from tests.support.alerts import an_alert
from tests.support.ledger_rows import JOURNAL, NOON, accepted_entry, journal_row

RULE = StormRule(window_minutes=2, min_calls=20, share_percent=50, quiet_seconds=120)
AT = AsOf(JOURNAL, 0)


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


def failed(calls: int, at: int = 0, **changes: Any) -> dict[str, Any]:
    fields = {"status": "rate_limited", "error_code": "429", "application": "bot"}
    return journal_row(calls=calls, minute=minute(at), **(fields | changes))


def good(calls: int, at: int = 0, **changes: Any) -> dict[str, Any]:
    return failed(calls, at, **({"status": "ok", "error_code": None} | changes))


def now_alerts(storms: Storms, later: float = 0) -> list[Alert]:
    return list(storms.alerts(AT, datetime.now(UTC) + timedelta(seconds=later)))


def opened_by(*rows: dict[str, Any], rule: StormRule = RULE) -> list[Alert]:
    storms = Storms(rule)
    storms.apply(accepted_entry(0, *rows))
    return now_alerts(storms)


def test_twenty_failed_attempts_are_a_storm():
    (alert,) = opened_by(failed(20))
    assert (alert.rule, alert.transition, alert.severity) == ("retry_storm", "opened", "critical")
    assert alert.scope == {"team": "search", "application": "bot"}
    assert alert.period == NOON.isoformat()
    assert "20 of 20 attempts (100 %)" in alert.detail


def test_nineteen_are_not():
    assert opened_by(failed(19)) == []


def test_half_of_the_attempts_are_a_storm_and_less_is_not():
    assert len(opened_by(failed(20), good(20))) == 1
    assert opened_by(failed(20), good(21)) == []


def test_ordinary_retries_of_a_busy_service_are_no_storm():
    rows = [
        row
        for at in range(30)
        for row in (good(1000, at), failed(15, at), good(15, at, is_retry=True))
    ]
    assert opened_by(*rows) == []


@pytest.mark.parametrize("status", ["error", "timeout", "rate_limited", "cancelled"])
def test_every_kind_of_failure_counts(status):
    assert len(opened_by(failed(20, status=status))) == 1


def test_repeated_attempts_count_even_where_they_worked():
    (alert,) = opened_by(good(20, is_retry=True))
    assert alert.contributors[0].name == "own unit: repeated"


def test_calls_without_a_status_did_not_fail():
    assert opened_by(good(100, status=None)) == []


def test_copies_for_comparison_do_not_count():
    assert opened_by(failed(100, is_shadow=True)) == []


def test_the_window_adds_up_neighbouring_minutes_only():
    assert [alert.period for alert in opened_by(failed(10, 0), failed(10, 1))] == [
        minute(1).isoformat()
    ]
    assert opened_by(failed(10, 0), failed(10, 2)) == []


def test_applications_and_teams_are_counted_apart():
    assert opened_by(failed(10), failed(10, application="b"), failed(10, team="t")) == []
    alerts = opened_by(failed(20), failed(20, application=None), failed(20, team="t"))
    assert sorted(tuple(alert.scope.items()) for alert in alerts) == [
        (("team", "search"),),
        (("team", "search"), ("application", "bot")),
        (("team", "t"), ("application", "bot")),
    ]


def test_evidence_that_is_close_together_is_one_storm_and_a_pause_ends_it():
    gap = RULE.gap_minutes
    assert len(opened_by(failed(20, 0), failed(20, gap), failed(20, 2 * gap))) == 1
    # A minute is evidence once more in the next one's window.
    apart = opened_by(failed(20, 0), failed(20, RULE.window_minutes + gap))
    assert [alert.period for alert in apart] == [
        minute(0).isoformat(),
        minute(RULE.window_minutes + gap).isoformat(),
    ]


def test_a_storm_that_goes_on_is_the_same_alert():
    storms = Storms(RULE)
    ids = set()
    for position in range(10):
        storms.apply(accepted_entry(position, failed(20, position)))
        ids |= {alert.transition_id for alert in now_alerts(storms)}
    assert len(ids) == 1


def test_a_storm_is_over_when_it_was_quiet_for_long_enough():
    storms = Storms(RULE)
    storms.apply(accepted_entry(0, failed(20)))
    assert [alert.transition for alert in now_alerts(storms, later=110)] == ["opened"]
    alerts = now_alerts(storms, later=121)
    assert [alert.transition for alert in alerts] == ["opened", "resolved"]
    assert alerts[0].alert_id == alerts[1].alert_id
    assert alerts[1].severity == "info"


def test_quiet_traffic_does_not_keep_a_storm_alive():
    storms = Storms(RULE)
    storms.apply(accepted_entry(0, failed(20)))
    evidence = dict(storms._evidence_at)
    storms.apply(accepted_entry(1, good(500, 5)))
    assert storms._evidence_at == evidence


def test_late_data_moves_the_beginning_and_not_the_name():
    storms = Storms(RULE)
    storms.apply(accepted_entry(0, failed(20, 3)))
    (first,) = now_alerts(storms)
    storms.apply(accepted_entry(1, failed(20, 2)))
    (second,) = now_alerts(storms)
    assert second.alert_id == first.alert_id
    assert "40 of 40" in second.detail


def test_a_storm_keeps_its_name_over_a_restart():
    before = Storms(RULE)
    before.apply(accepted_entry(0, failed(20, 3)))
    (announced,) = now_alerts(before)

    restarted = Storms(RULE)
    restarted.remember(announced)
    restarted.remember(an_alert())
    restarted.apply(accepted_entry(1, failed(20, 2), failed(20, 3)))
    assert [alert.alert_id for alert in now_alerts(restarted)] == [announced.alert_id]
    assert restarted.fresh()._named == restarted._named


def test_the_worst_contributors_come_first_with_their_reason():
    alerts = opened_by(
        failed(5, cost=Decimal(1)),
        failed(30, error_code=None, cost=Decimal(0)),
        failed(6, model="other", error_code="500"),
        failed(2, model="least"),
    )
    assert [(part.name, part.calls) for part in alerts[0].contributors] == [
        ("own unit: rate_limited", 30),
        ("own other: 500", 6),
        ("own unit: 429", 5),
    ]


def test_old_minutes_are_forgotten():
    storms = Storms(RULE)
    for at in range(2 * KEEP_MINUTES):
        storms.apply(accepted_entry(at, good(1, at)))
    (slots,) = storms._slots.values()
    assert len(slots) <= KEEP_MINUTES + 1


def test_the_gap_is_at_least_the_window():
    assert StormRule(window_minutes=10, quiet_seconds=1).gap_minutes == 10
    assert StormRule(window_minutes=1, quiet_seconds=61).gap_minutes == 2
    assert Storm(1, 2) == Storm(first=1, last=2)


def test_a_storm_of_five_hours_is_one_alert():
    storms = Storms(RULE)
    opened: set[str] = set()
    for at in range(0, 5 * 60):
        storms.apply(accepted_entry(at, failed(30, at)))
        opened |= {alert.alert_id for alert in now_alerts(storms)}
    assert len(opened) == 1
    over = [alert for alert in now_alerts(storms, later=121) if alert.transition == "resolved"]
    assert {alert.alert_id for alert in over} == opened


def test_two_storms_that_late_data_makes_one_are_both_resolved():
    storms = Storms(RULE)
    storms.apply(accepted_entry(0, failed(20, 0), failed(20, 10)))
    first, second = (alert.alert_id for alert in now_alerts(storms))
    storms.apply(accepted_entry(1, *(failed(20, at) for at in range(1, 10))))
    over = {a.alert_id for a in now_alerts(storms, later=121) if a.transition == "resolved"}
    assert over == {first, second}


def test_a_clock_that_is_years_ahead_does_not_hide_a_storm():
    storms = Storms(RULE)
    storms.apply(accepted_entry(0, failed(1, at=60 * 24 * 365 * 50)))
    storms.apply(accepted_entry(1, failed(30)))
    assert [alert.transition for alert in now_alerts(storms)] == ["opened"]
