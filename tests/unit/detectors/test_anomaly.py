"""Spend anomalies: against the same hour of past weeks, of a team and of everybody."""

from __future__ import annotations

import random
from decimal import Decimal

from streams.detectors.anomaly import Anomaly
from streams.detectors.settings_file import AnomalyRule
from tests.support.detectors import entry, fed, later, minute, row, states

RULE = AnomalyRule()
WEEK = 7 * 24 * 60


def spend(at, dollars, **changes):
    return row(at, 10, **({"cost": Decimal(dollars), "application": "desk"} | changes))


def history(dollars=4, weeks=4, hours=range(-3, 5), **changes):
    """So much in each of these hours around noon, in past weeks, and a sign of life before."""
    return [
        spend(60 * hour - week * WEEK, dollars, **changes)
        for week in range(1, weeks + 1)
        for hour in hours
    ] + [spend(-weeks * WEEK - 12 * 60, 0, **changes)]


def knowing(*rows, rule=RULE):
    detector = Anomaly(rule)
    assert fed(detector, *(rows or history()), now=-1) == []
    return detector


def test_three_times_the_usual_is_an_anomaly():
    detector = knowing()
    assert fed(detector, spend(5, 12)) == [], "the quarter of an hour is not complete"
    (alert,) = later(detector, 15)
    assert (alert.rule, alert.transition, alert.severity) == ("anomaly", "opened", "warning")
    assert alert.scope == {"team": "search"}
    assert alert.period == minute(15).isoformat()
    assert (alert.value, alert.limit, alert.unit) == (12, 4, "USD an hour")
    assert alert.title == (
        "Team search spent $12.00 within an hour, usually $4.00, since 12:15 UTC"
    )
    assert "Expected $4.00" in alert.detail
    assert "spent $12.00, 3.0 times as much: $8.00 more." in alert.detail


def test_just_under_it_is_not():
    assert fed(knowing(), spend(5, "11.999999999999"), now=15) == []


def test_a_small_excess_is_not_worth_an_alert():
    cheap = history(dollars="0.10")
    assert fed(knowing(*cheap), spend(5, "5.09"), now=15) == []
    assert len(fed(knowing(*cheap), spend(5, "5.10"), now=15)) == 1


def test_an_hour_that_usually_costs_nothing():
    quiet = history(dollars=0)
    (alert,) = fed(knowing(*quiet), spend(5, 5), now=15)
    assert alert.limit == 0
    assert "usually $0.00" in alert.title


def test_two_past_weeks_are_needed():
    assert fed(knowing(*history(weeks=1)), spend(5, 100), now=15) == []
    assert len(fed(knowing(*history(weeks=2)), spend(5, 100), now=15)) == 1


def test_one_odd_week_does_not_change_what_is_expected():
    rows = [*history(), spend(-WEEK, 500)]
    (alert,) = fed(knowing(*rows), spend(5, 12), now=15)
    assert alert.limit == 4


def test_a_week_without_spend_counts_as_one():
    """A team that was there, and spent nothing at this hour in three of four weeks."""
    rows = [spend(-4 * WEEK - 12 * 60, 0), *history(weeks=1)]
    (alert,) = fed(knowing(*rows), spend(5, 12), now=15)
    assert alert.limit == 0


def test_the_hour_before_and_the_hour_after_count_too():
    """As after a change of the clocks: what comes at noon used to come at one, or at eleven."""
    for hour in (-1, 1):
        rows = [*history(dollars="0.5", hours=range(-3, 4)), *history(dollars=9, hours=(hour,))]
        assert fed(knowing(*rows), spend(0, 10), now=60) == []


def test_the_first_day_of_a_team_raises_nothing():
    newcomer = [spend(at, 3, team="new") for at in range(0, 300, 15)]
    others = [spend(at, 10) for at in range(0, 300, 15)]
    usual = [spend(at - week * WEEK, 10) for at in range(-180, 500, 15) for week in range(1, 5)]
    detector = knowing(*usual, spend(-4 * WEEK - 1000, 0))
    for rows in zip(newcomer, others, strict=True):
        assert fed(detector, *rows) == []


def test_it_names_the_largest_applications():
    rows = spend(5, 9), spend(5, 40, application="agent"), spend(5, 1, application=None)
    (alert,) = fed(knowing(), *rows, now=15)
    assert [(one.name, one.cost, one.calls) for one in alert.contributors] == [
        ("agent", 40, 10),
        ("desk", 9, 10),
        ("(no application)", 1, 10),
    ]


def test_the_trend_is_that_of_the_hours_before():
    (alert,) = fed(knowing(), spend(5, 12), now=15)
    assert len(alert.trend) == 24
    assert alert.trend[-1] == 12


def test_the_organisation_is_judged_as_a_whole():
    teams = [f"team-{number}" for number in range(10)]
    usual = [row for team in teams for row in history(dollars=1, team=team)]
    # Every team is below what is worth an alert of its own.
    today = [spend(5, 4, team=team) for team in teams]
    (alert,) = fed(knowing(*usual), *today, now=15)
    assert alert.scope == {"organisation": "all"}
    assert (alert.value, alert.limit) == (40, 10)
    assert alert.contributors[0].name == "team-0: desk"


def test_what_a_team_is_told_the_organisation_is_not_told_again():
    usual = [*history(), *history(team="other")]
    alerts = fed(knowing(*usual), spend(5, 400), spend(5, 4, team="other"), now=15)
    assert [alert.scope for alert in alerts] == [{"team": "search"}]


def test_it_is_over_when_the_hour_is_usual_again():
    detector = knowing()
    (first,) = fed(detector, spend(5, 12), now=15)
    assert states(later(detector, 45)) == ["opened 1"]
    (over,) = later(detector, 75)
    assert (over.transition, over.alert_id) == ("resolved", first.alert_id)
    assert over.title == "Spend of team search is no longer far above the usual"


def test_a_restart_keeps_its_name():
    rows = [*history(hours=range(-3, 9)), *(spend(at, 12) for at in range(5, 300, 30))]
    split = len(history(hours=range(-3, 9))) + 2
    first = fed(Anomaly(RULE), *rows[:split])
    second = Anomaly(RULE)
    second.remember(first[0])
    assert {a.alert_id for a in fed(second, *rows)} == {first[0].alert_id}


def test_a_restart_knows_the_alert_of_the_organisation():
    detector = Anomaly(RULE)
    teams = [f"team-{number}" for number in range(10)]
    usual = [row for team in teams for row in history(dollars=1, team=team)]
    today = [spend(5, 4, team=team) for team in teams]
    (opened,) = fed(detector, *usual, *today, now=15)
    second = Anomaly(RULE)
    second.remember(opened)
    (over,) = fed(second, *usual, *today, now=90)
    assert (over.transition, over.alert_id) == ("resolved", opened.alert_id)


def test_a_void_brings_it_back():
    detector = knowing()
    (first,) = fed(detector, spend(5, 12), now=15)
    fed(detector, spend(5, -8) | {"calls": -5}, now=16)
    (over,) = later(detector, 30)
    assert (over.transition, over.alert_id) == ("resolved", first.alert_id)


def test_shadow_calls_are_spend():
    assert len(fed(knowing(), spend(5, 6), spend(5, 6, is_shadow=True), now=15)) == 1


def test_cost_that_is_not_known_is_no_spend():
    assert fed(knowing(), spend(5, 0) | {"cost": None, "calls": 10**6}, now=15) == []


def test_the_order_of_entries_does_not_matter():
    rows = [*history(), *(spend(at, 3, team=f"t{at % 2}") for at in range(60)), spend(2, 20)]
    rows += history(team="t0") + history(team="t1")
    expected = {(a.alert_id, a.value) for a in fed(Anomaly(RULE), *rows)}
    assert expected
    rng = random.Random(5)
    for _ in range(3):
        rng.shuffle(rows)
        detector = Anomaly(RULE)
        for start in range(0, len(rows), 17):
            detector.apply(entry(*rows[start : start + 17]))
        assert {(a.alert_id, a.value) for a in later(detector, 59)} == expected


def test_late_data_does_not_tell_the_organisation_of_what_a_team_was_told():
    usual = [*history(), *history(team="other")]
    detector = knowing(*usual)
    fed(detector, spend(5, 400), now=15)
    assert states(later(detector, 75)) == ["resolved 1"]
    assert fed(detector, spend(6, 1, team="other"), now=80) == []
