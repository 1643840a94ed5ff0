"""Runaways: what is one, what it is called, and when it is over."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from streams.detectors.episodes import SETTLE
from streams.detectors.runaway import Runaway
from streams.detectors.series import MINUTE
from streams.detectors.settings_file import RunawayRule
from tests.support.detectors import entry, fed, later, minute, row, states

RULE = RunawayRule(calls=100, cost=Decimal(50))
SETTLES = SETTLE // MINUTE


def run(at=0, calls=1, **changes):
    fields = {"workflow": "run-1", "application": "agent", "cost": Decimal(0)}
    return row(at, calls, **(fields | changes))


def opened_by(*rows, rule=RULE, now=None):
    return fed(Runaway(rule), *rows, now=now)


def test_a_workflow_that_reaches_the_limit_of_calls_runs_away():
    (alert,) = opened_by(run(0, 60), run(30, 40))
    assert (alert.rule, alert.transition, alert.level) == ("runaway", "opened", 1)
    assert alert.severity == "warning"
    assert alert.scope == {"team": "search", "application": "agent", "workflow": "run-1"}
    assert alert.period == minute(30).isoformat()
    assert alert.threshold == "100 calls or 50 USD within 1 h"
    assert (alert.value, alert.limit, alert.unit) == (100, 100, "calls")
    assert alert.title == "Workflow run-1 of team search: 100 calls within 1 h, since 12:30 UTC"


def test_just_under_both_limits_is_none():
    assert opened_by(run(0, 99, cost=Decimal("49.999999999999"))) == []


def test_a_workflow_that_reaches_the_limit_of_cost_runs_away():
    (alert,) = opened_by(run(0, 3, cost=Decimal(50)))
    assert (alert.value, alert.limit, alert.unit) == (50, 50, "USD")
    assert "3 calls, $50.00 within 1 h" in alert.title
    assert alert.contributors[0].cost == 50


def test_ten_times_a_limit_is_critical():
    (alert,) = opened_by(run(0, 1, cost=Decimal(500)))
    assert (alert.level, alert.severity) == (2, "critical")
    (alert,) = opened_by(run(0, 999))
    assert alert.level == 1


def test_it_becomes_worse_under_the_same_name():
    detector = Runaway(RULE)
    first = fed(detector, run(0, 100))
    second = fed(detector, run(5, 900))
    assert states(first + second) == ["opened 1", "opened 2"]
    assert {alert.alert_id for alert in first + second} == {first[0].alert_id}


def test_what_is_an_hour_apart_does_not_add_up():
    assert len(opened_by(run(0, 60), run(59, 40))) == 1
    assert opened_by(run(0, 60), run(60, 40)) == []


@pytest.mark.parametrize("name", ["team", "application", "workflow"])
def test_workflows_of_teams_and_applications_are_counted_apart(name):
    assert opened_by(run(0, 60), run(0, 60, **{name: "other"})) == []


def test_calls_without_a_workflow_do_not_count():
    assert opened_by(run(0, 1000, workflow=None)) == []


def test_what_is_meant_to_run_like_this_is_ignored():
    rule = RULE.model_copy(update={"ignore": ("nightly-*", "importer")})
    assert opened_by(run(0, 100, workflow="nightly-index"), rule=rule) == []
    assert opened_by(run(0, 100, application="importer"), rule=rule) == []
    assert len(opened_by(run(0, 100), rule=rule)) == 1


def test_a_shadow_call_adds_its_cost_and_no_call():
    assert opened_by(run(0, 99), run(0, 99, is_shadow=True)) == []
    assert len(opened_by(run(0, 1), run(0, 1, is_shadow=True, cost=Decimal(50)))) == 1


def test_calls_without_a_known_cost_count_as_calls():
    (alert,) = opened_by(run(0, 100, cost=None))
    assert alert.contributors[0].cost is None
    assert alert.contributors[0].calls == 100


def test_it_is_over_when_the_hour_has_been_under_the_limit_for_a_while():
    detector = Runaway(RULE)
    (first,) = fed(detector, run(0, 100))
    # Its calls are in the window of minute 59, and gone from that of minute 60.
    assert states(later(detector, 59 + SETTLES - 1)) == ["opened 1"]
    (over,) = later(detector, 59 + SETTLES)
    assert (over.transition, over.severity, over.alert_id) == ("resolved", "info", first.alert_id)
    assert over.title == "Workflow run-1 of team search is back under its limits"
    assert later(detector, 59 + SETTLES + 1) == []


def test_a_figure_that_plays_around_the_limit_is_one_alert():
    detector = Runaway(RULE)
    ids = set()
    for at in range(0, 180, 6):
        ids |= {a.alert_id for a in fed(detector, run(at, 10))}
    assert len(ids) == 1


def test_what_begins_again_after_its_end_is_another_alert():
    detector = Runaway(RULE)
    (first,) = fed(detector, run(0, 100))
    assert states(later(detector, 80)) == ["resolved 1"]
    (second,) = fed(detector, run(90, 100))
    assert second.alert_id != first.alert_id
    assert second.period == minute(90).isoformat()


def test_an_hour_that_comes_at_once_is_judged_minute_by_minute():
    (alert, _) = fed(Runaway(RULE), run(0, 100), now=40)
    assert alert.period == minute(0).isoformat()


def test_a_void_brings_it_back_under_the_limit():
    detector = Runaway(RULE)
    (first,) = fed(detector, run(0, 100))
    fed(detector, run(0, -1), now=1)
    (over,) = later(detector, SETTLES)
    assert (over.transition, over.alert_id) == ("resolved", first.alert_id)


def test_the_order_of_entries_does_not_matter():
    rows = [run(at, 6, workflow=f"run-{at % 3}") for at in range(90)]
    rows += [run(at, -1, workflow="run-0") for at in range(0, 90, 6)]
    expected = {(a.alert_id, a.value) for a in opened_by(*rows)}
    assert expected
    rng = random.Random(3)
    for _ in range(3):
        rng.shuffle(rows)
        detector = Runaway(RULE)
        for start in range(0, len(rows), 15):
            detector.apply(entry(*rows[start : start + 15]))
        assert {(a.alert_id, a.value) for a in later(detector, 89)} == expected


def test_late_data_opens_what_it_shows():
    detector = Runaway(RULE)
    assert fed(detector, run(0, 50), run(70, 1)) == []
    (opened, goes_on) = fed(detector, run(20, 50), now=70)
    assert opened.period == minute(20).isoformat()
    assert goes_on.alert_id == opened.alert_id


def test_what_is_older_than_two_hours_raises_nothing():
    detector = Runaway(RULE)
    assert fed(detector, run(0, 100), now=60 + 120) == []
    assert len(fed(Runaway(RULE), run(0, 100), now=60 + 100)) == 2, "opened and over"


def test_a_restart_keeps_the_name_of_what_goes_on_and_says_that_it_is_over():
    first = Runaway(RULE)
    rows = [run(at, 10) for at in range(0, 200, 2)]
    before = fed(first, *rows[:40])
    second = Runaway(RULE)
    second.remember(before[0])
    after = fed(second, *rows)
    assert {alert.alert_id for alert in after} == {before[0].alert_id}
    assert states(later(second, 400))[-1] == "resolved 1"


def test_a_restart_does_not_repeat_what_is_over():
    first = Runaway(RULE)
    fed(first, run(0, 100))
    (over,) = later(first, 75)
    second = Runaway(RULE)
    second.remember(over)
    assert fed(second, run(0, 100), now=76) == []
    assert len(fed(second, run(77, 100))) == 1


def test_a_restart_with_other_limits_ends_the_alert_of_before():
    (opened,) = opened_by(run(0, 100))
    second = Runaway(RunawayRule(calls=1000, cost=Decimal(500)))
    second.remember(opened)
    fed(second, run(0, 100), now=5)
    (over,) = later(second, 20)
    assert (over.transition, over.alert_id) == ("resolved", opened.alert_id)


def test_alerts_of_other_rules_are_not_its_own():
    (opened,) = opened_by(run(0, 100))
    detector = Runaway(RULE)
    detector.remember(opened.model_copy(update={"rule": "anomaly"}))
    assert later(detector, 300) == []


def test_names_of_any_length_and_shape_fit_into_a_title():
    odd = "new\nline " + "x" * 400
    (alert,) = opened_by(run(0, 100, team=odd, workflow=odd, application=odd, cost=Decimal(10**6)))
    assert len(alert.title) <= 150
    assert "\n" not in alert.title
    assert "100 calls" in alert.title


def test_the_trend_adds_up_to_the_window():
    (alert,) = opened_by(run(0, 40), run(30, 70), now=30)
    assert len(alert.trend) == 12
    assert sum(alert.trend) == 110
