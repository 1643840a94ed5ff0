"""Unattributed spend: the share of a day, against a limit."""

from __future__ import annotations

from decimal import Decimal

from streams.detectors.settings_file import UnattributedRule
from streams.detectors.unattributed import LEAST_CALLS, Unattributed
from tests.support.detectors import fed, row, states

DAY = 24 * 60
RULE = UnattributedRule()


def named(dollars, at=0, **changes):
    return row(at, **({"application": "desk", "cost": Decimal(dollars)} | changes))


def nameless(dollars, at=0, **changes):
    return named(dollars, at, **({"application": None} | changes))


def reported(*rows, rule=RULE, now=None):
    return fed(Unattributed(rule), *rows, now=now)


def test_five_percent_without_an_application_are_told():
    (alert,) = reported(named(190), nameless(10))
    assert (alert.rule, alert.transition, alert.level) == ("unattributed", "opened", 1)
    assert alert.severity == "warning"
    assert alert.scope == {"organisation": "all"}
    assert (alert.period, alert.threshold) == ("2026-03-10", "5 % without application")
    assert (alert.value, alert.limit, alert.unit) == (5, 5, "% of the cost")
    assert alert.title == "5.0 % of the cost of 2026-03-10 has no application: $10.00"


def test_just_under_it_is_not_told():
    # Between four fifths of the limit and the limit nothing is said, below it is resolved.
    assert reported(named("190.000000000001"), nameless(10)) == []
    assert states(reported(named(300), nameless(10))) == ["resolved 1"]


def test_three_times_the_limit_is_critical():
    (alert,) = reported(named(85), nameless(15))
    assert (alert.level, alert.severity) == (2, "critical")
    (alert,) = reported(named("85.01"), nameless(15))
    assert alert.level == 1


def test_little_money_is_not_worth_an_alert():
    assert reported(nameless("9.999999")) == []
    assert len(reported(nameless(10))) == 1


def test_an_empty_name_is_none():
    assert len(reported(nameless(10, application=""))) == 1


def test_every_dimension_that_is_asked_for_is_needed():
    rule = RULE.model_copy(update={"dimensions": ("application", "use_case")})
    (alert,) = reported(named(20), named(100, use_case="a"), rule=rule)
    assert alert.threshold == "5 % without application, use_case"
    assert "has no application or use case: $20.00" in alert.title


def test_a_day_without_any_known_cost_is_judged_by_calls():
    (alert,) = reported(
        named(0, calls=9 * LEAST_CALLS) | {"cost": None, "calls": 9 * LEAST_CALLS},
        nameless(0) | {"cost": None, "calls": LEAST_CALLS},
    )
    assert (alert.value, alert.unit) == (10, "% of the calls")
    assert "1,000 calls" in alert.title
    few = nameless(0) | {"cost": None, "calls": LEAST_CALLS * 4 // 5 - 1}
    assert states(reported(few)) == ["resolved 1"]


def test_a_share_that_plays_around_the_limit_is_one_alert():
    detector = Unattributed(RULE)
    alerts = fed(detector, named(190), nameless(10))
    for _ in range(5):
        alerts += fed(detector, named(10))
        alerts += fed(detector, nameless("0.5"))
    assert set(states(alerts)) == {"opened 1"}


def test_it_is_resolved_when_the_share_is_clearly_below():
    detector = Unattributed(RULE)
    (opened,) = fed(detector, named(190), nameless(10))
    (over,) = fed(detector, named(100))
    assert (over.transition, over.alert_id) == ("resolved", opened.alert_id)
    assert over.title == "Less than 5 % of 2026-03-10 has no application"


def test_a_void_brings_it_back():
    detector = Unattributed(RULE)
    (opened,) = fed(detector, named(100), nameless(12))
    (over,) = fed(detector, nameless(-10) | {"calls": -1})
    assert (over.transition, over.alert_id) == ("resolved", opened.alert_id)


def test_shadow_calls_are_spend():
    assert len(reported(named(100), nameless(12, is_shadow=True))) == 1


def test_every_day_is_an_alert_of_its_own_and_only_the_last_two_are_judged():
    rows = [f(d, -back * DAY) for back in range(4) for f, d in ((named, 50), (nameless, 50))]
    assert [alert.period for alert in reported(*rows)] == ["2026-03-09", "2026-03-10"]


def test_it_names_the_teams():
    (alert,) = reported(named(100), nameless(12, team="a"), nameless(30, team="b"))
    assert [(one.name, one.cost) for one in alert.contributors] == [("b", 30), ("a", 12)]


def test_a_restart_with_another_limit_ends_the_alert_of_before():
    (opened,) = reported(named(100), nameless(12))
    second = Unattributed(RULE.model_copy(update={"limit_percent": Decimal(50)}))
    second.remember(opened)
    alerts = fed(second, named(100), nameless(12))
    assert [a.transition for a in alerts if a.alert_id == opened.alert_id] == ["resolved"]
    assert {alert.transition for alert in alerts} == {"resolved"}
