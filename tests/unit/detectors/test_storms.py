"""Retry storms: what is one, how bad it is, when it is over, and that it keeps its name."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.alerts import Alert
from streams.detectors.storm_rule import KEEP_MINUTES, StormRule
from streams.detectors.storms import Storms
from tests.support.alerts import an_alert
from tests.support.ledger_rows import NOON, accepted_entry
from tests.support.storm_watch import RULE, Watch, failed, good, minute, told


def opened_by(*rows: dict[str, Any], rule: StormRule = RULE) -> list[Alert]:
    return Watch(rule).entry(*rows)


def test_twenty_failed_attempts_are_a_storm_at_once():
    (alert,) = opened_by(failed(20, input_tokens=100, cost=Decimal("0.50")))
    assert (alert.rule, alert.transition, alert.severity) == ("retry_storm", "opened", "warning")
    assert alert.scope == {"team": "search", "application": "bot"}
    assert alert.period == NOON.isoformat()
    assert alert.title == "Retry storm: bot of team search repeats failing calls"
    assert "20 of 20 attempts (100 %) failed" in alert.detail
    assert "Wasted: $0.50 and 100 tokens." in alert.detail
    assert (alert.value, alert.unit) == (Decimal("0.50"), "USD")


def test_the_chart_shows_what_was_wasted_so_far_and_the_time_before():
    (alert,) = opened_by(failed(10, 0, cost=Decimal(2)), failed(10, 1, cost=Decimal(1)))
    assert alert.trend == (*[Decimal(0)] * 10, Decimal(2), Decimal(3))[1:]
    assert opened_by(failed(20, cost=Decimal(0)))[0].trend == ()


def test_nineteen_are_not():
    assert opened_by(failed(19)) == []


def test_half_of_the_attempts_are_a_storm_and_less_is_not():
    assert len(opened_by(failed(20), good(20))) == 1
    assert opened_by(failed(20), good(21)) == []


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


def test_a_minute_in_which_little_is_wasted_is_no_evidence_whatever_was_before():
    assert opened_by(failed(19, 0), failed(2, 1), good(10, 1)) == []


def test_applications_and_teams_are_counted_apart():
    assert opened_by(failed(10), failed(10, application="b"), failed(10, team="t")) == []
    alerts = opened_by(failed(20), failed(20, application=None), failed(20, team="t"))
    assert sorted(tuple(alert.scope.items()) for alert in alerts) == [
        (("team", "search"),),
        (("team", "search"), ("application", "bot")),
        (("team", "t"), ("application", "bot")),
    ]


def test_a_cost_that_is_not_known_is_not_nothing():
    (alert,) = opened_by(failed(20, cost=None, input_tokens=7))
    assert alert.value is None
    assert alert.contributors[0].cost is None
    assert "7 tokens, at a cost that is not known" in alert.detail


def test_the_largest_contributors_come_first_with_their_reason_and_their_tokens():
    (alert,) = opened_by(
        failed(5, cost=Decimal(1)),
        failed(30, error_code=None, cost=Decimal(0), input_tokens=12, output_tokens=3),
        failed(6, model="other", error_code="500"),
    )
    assert [(part.name, part.calls, part.tokens) for part in alert.contributors] == [
        ("own unit: rate_limited", 30, 15),
        ("own other: 500", 6, 0),
        ("own unit: 429", 5, 0),
    ]


def test_a_storm_escalates_at_five_and_at_twenty_five_times_the_minimum():
    watch = Watch()
    levels = [
        (alert.transition, alert.level, alert.severity)
        for at in range(17)
        for alert in watch.entry(failed(30, at))
    ]
    assert levels == [
        ("opened", 1, "warning"),
        ("escalated", 2, "critical"),
        ("escalated", 3, "critical"),
    ]


def test_a_storm_that_is_over_at_once_is_opened_as_bad_as_it_was():
    (alert,) = opened_by(failed(100))
    assert (alert.transition, alert.level, alert.severity) == ("opened", 2, "critical")


def test_a_storm_is_over_when_it_was_quiet_for_long_enough_by_event_time():
    watch = Watch()
    (opened,) = watch.entry(failed(20), now=minute(0.5))
    assert watch.tick(minute(2.4)) == []
    (over,) = watch.tick(minute(2.5))
    assert (over.transition, over.severity, over.alert_id) == ("resolved", "info", opened.alert_id)
    assert over.title == "Retry storm over: bot of team search"
    assert watch.tick(minute(10)) == []


def test_quiet_traffic_does_not_keep_a_storm_alive():
    watch = Watch()
    watch.entry(failed(20))
    for tenth in range(1, 20):
        assert watch.entry(good(50, tenth // 10), now=minute(tenth / 10)) == []
    assert told(watch.entry(good(50, 2))) == [("retry_storm", "resolved")]


def test_evidence_that_goes_on_keeps_a_storm_open():
    watch = Watch()
    assert told(a for at in range(60) for a in watch.entry(failed(2, at), failed(18, at))) == [
        ("retry_storm", "opened"),
        ("retry_storm", "escalated"),
        ("retry_storm", "escalated"),
    ]


def test_a_pause_ends_a_storm_and_the_next_one_has_a_name_of_its_own():
    watch = Watch()
    gap = RULE.gap_minutes
    for at in (0, gap, 2 * gap, 4 * gap + 1):
        watch.entry(failed(20, at))
    assert [(alert.transition, alert.period) for alert in watch.published] == [
        ("opened", minute(0).isoformat()),
        ("resolved", minute(0).isoformat()),
        ("opened", minute(4 * gap + 1).isoformat()),
    ]


def test_storms_that_came_and_went_within_one_entry_are_told_in_order():
    watch = Watch()
    watch.entry(failed(20, 0), failed(20, 10), now=minute(30))
    watch.tick(minute(32))
    assert [(alert.transition, alert.period) for alert in watch.published] == [
        ("opened", minute(0).isoformat()),
        ("resolved", minute(0).isoformat()),
        ("opened", minute(10).isoformat()),
        ("resolved", minute(10).isoformat()),
    ]


def test_late_data_adds_to_a_storm_and_does_not_rename_it():
    watch = Watch()
    watch.entry(failed(20, 3))
    assert watch.entry(failed(20, 2), now=minute(3)) == []
    (over,) = watch.tick(minute(6))
    assert over.period == minute(3).isoformat()
    assert "40 of 40" in over.detail


def test_late_data_of_a_storm_that_is_over_opens_nothing():
    watch = Watch()
    watch.entry(failed(20))
    watch.tick(minute(3))
    assert watch.entry(failed(20), now=minute(3)) == []


def test_a_restart_in_a_storm_changes_nothing_in_its_history():
    before = Watch()
    rows = [failed(20, 0), failed(20, 1)]
    for row in rows:
        before.entry(row)
    after = before.restarted(*rows, now=minute(1))
    assert after.tick(minute(1)) == []
    after.entry(failed(60, 2))
    after.tick(minute(6))
    assert [(alert.transition, alert.number) for alert in after.published] == [
        ("opened", 1),
        ("escalated", 2),
        ("resolved", 3),
    ]
    assert {alert.period for alert in after.published} == {NOON.isoformat()}


def test_a_restart_after_a_storm_does_not_open_it_again():
    before = Watch()
    before.entry(failed(20))
    before.tick(minute(2))
    for later in (2, 2.5, 60):
        after = before.restarted(failed(20), good(1, int(later)), now=minute(later))
        assert after.tick(minute(later)) == []


def test_a_storm_that_nothing_is_left_of_is_resolved_after_a_restart():
    before = Watch()
    before.entry(failed(20))
    after = before.restarted(good(1, 300), now=minute(300))
    assert after.tick(minute(300)) == []
    (over,) = after.tick(minute(302))
    assert over.transition == "resolved"
    assert "no more evidence" in over.detail


def test_a_storm_is_resolved_under_the_threshold_that_it_was_opened_with():
    (opened,) = Watch(StormRule(min_calls=10)).entry(failed(20))
    watch = Watch(RULE, [opened])
    watch.entry(failed(20))
    assert [alert.alert_id for alert in watch.tick(minute(3))] == [opened.alert_id]


def test_a_storm_that_goes_on_for_longer_than_minutes_are_kept_is_one_alert():
    watch = Watch()
    for at in range(2 * KEEP_MINUTES):
        watch.entry(failed(30, at))
    after = watch.restarted(
        *(failed(30, at) for at in range(KEEP_MINUTES, 2 * KEEP_MINUTES)),
        now=minute(2 * KEEP_MINUTES - 1),
    )
    after.tick(minute(2 * KEEP_MINUTES))
    after.tick(minute(2 * KEEP_MINUTES + 5))
    assert len({alert.alert_id for alert in after.published}) == 1
    assert after.published[-1].transition == "resolved"
    assert "5,400 of 5,400 attempts (100 %)" in after.published[-1].detail
    assert "in the last 3 hours" in after.published[-1].detail


def test_alerts_of_other_rules_are_no_storms():
    storms = Storms(RULE)
    storms.remember(an_alert())
    storms.apply(accepted_entry(0, good(1)))
    assert list(storms.alerts(accepted_entry(0).at, NOON)) == []


def test_old_minutes_are_forgotten():
    storms = Storms(RULE)
    for at in range(2 * KEEP_MINUTES):
        storms.apply(accepted_entry(at, good(1, at)))
    (slots,) = storms._slots.values()
    assert len(slots) == KEEP_MINUTES
    storms.apply(accepted_entry(0, good(1, 4 * KEEP_MINUTES, team="other")))
    assert len(storms._slots) == 1


def test_a_clock_that_is_years_ahead_does_not_hide_a_storm():
    watch = Watch()
    watch.entry(failed(1, at=60 * 24 * 365 * 50), now=NOON)
    assert told(watch.entry(failed(30), now=NOON)) == [("retry_storm", "opened")]


def test_the_gap_is_at_least_the_window():
    assert StormRule(window_minutes=10, quiet_seconds=1).gap_minutes == 10
    assert StormRule(window_minutes=1, quiet_seconds=61).gap_minutes == 2


def test_a_storm_with_a_short_quiet_time_is_over_within_its_minute():
    watch = Watch(StormRule(quiet_seconds=8))
    watch.entry(failed(20), now=minute(0.2))
    assert watch.tick(minute(0.2) + timedelta(seconds=7)) == []
    assert told(watch.tick(minute(0.2) + timedelta(seconds=8))) == [("retry_storm", "resolved")]
