"""Who is told, and when: routes, quiet hours, digests, cooldown, reminders."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.alerts.policy import Digest, Policy, QuietHours, Renotify, Route
from tests.support.alerts import an_alert

KNOWN = ("ops", "finance", "pager")
NIGHT = QuietHours(time(22), time(7), "Asia/Hong_Kong")
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hong_kong(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+08:00")


def told(*routes: Route, **changes: Any) -> tuple[str, ...]:
    alert = an_alert(**changes)
    return Policy(routes).channels_of(alert, alert.severity, KNOWN)


def test_without_routes_everybody_is_told_of_everything():
    assert told() == KNOWN


def test_every_route_that_matches_adds_its_channels_once():
    routes = (
        Route(("ops",)),
        Route(("finance", "ops"), rules=("budget", "forecast")),
        Route(("pager",), severity="critical"),
    )
    assert told(*routes) == ("ops", "finance")
    assert told(*routes, severity="critical") == KNOWN
    assert told(*routes, rule="retry_storm", severity="info") == ("ops",)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [({"team": "search"}, ("ops",)), ({"team": "other"}, ()), ({"user": "ada"}, ())],
)
def test_a_route_asks_for_one_of_the_values_of_each_dimension(scope, expected):
    assert told(Route(("ops",), scope=(("team", ("search", "support")),)), scope=scope) == expected


def test_channels_that_a_threshold_names_are_told_beside_those_of_routes():
    assert told(Route(("ops",)), channels=("finance",)) == ("ops", "finance")
    assert told(channels=("finance",)) == ("finance",)


def test_the_end_goes_where_the_beginning_went():
    route = Route(("pager",), severity="critical")
    over = an_alert(transition="resolved", severity="info", number=2)
    assert Policy((route,)).channels_of(over, "critical", KNOWN) == ("pager",)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2026-03-10T21:59", None),
        ("2026-03-10T22:00", "2026-03-11T07:00"),
        ("2026-03-11T06:59", "2026-03-11T07:00"),
        ("2026-03-11T07:00", None),
    ],
)
def test_a_quiet_night_goes_over_midnight(moment, end):
    assert NIGHT.end_after(hong_kong(moment)) == (None if end is None else hong_kong(end))


def test_a_quiet_friday_night_goes_on_to_monday_where_weekends_are_quiet():
    quiet = QuietHours(time(22), time(7), "Asia/Hong_Kong", weekends=True)
    monday = hong_kong("2026-03-16T07:00")
    for moment in ("2026-03-13T23:00", "2026-03-14T12:00", "2026-03-15T23:30"):
        assert quiet.end_after(hong_kong(moment)) == monday


@given(
    st.integers(0, 366 * 24 * 60).map(lambda n: NOW + n * timedelta(minutes=1)),
    st.times(),
    st.times(),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
    st.booleans(),
)
def test_quiet_ends_later_and_is_over_then(moment, start, end, zone, weekends):
    quiet = QuietHours(start, end, zone, weekends)
    if start == end:
        return
    until = quiet.end_after(moment)
    if until is not None:
        assert moment < until <= moment + timedelta(days=4)
        assert quiet.end_after(until) is None


def test_what_is_bad_enough_is_told_at_night():
    policy = Policy(quiet_hours=NIGHT)
    night = hong_kong("2026-03-10T23:00")
    assert policy.due(an_alert(), "critical", night) == (night, False)
    assert policy.due(an_alert(), "warning", night) == (hong_kong("2026-03-11T07:00"), False)


def test_a_digest_collects_what_is_not_worse_until_the_next_full_hour():
    policy = Policy(digest=Digest(HOUR, "info"))
    moment = NOW + timedelta(minutes=20)
    assert policy.due(an_alert(), "info", moment) == (NOW + HOUR, True)
    assert policy.due(an_alert(), "info", NOW + HOUR) == (NOW + 2 * HOUR, True)
    assert policy.due(an_alert(), "warning", moment) == (moment, False)


def test_after_a_message_the_same_subject_waits_unless_it_is_worse_or_over():
    policy, later = Policy(cooldown=HOUR), NOW + timedelta(minutes=5)
    last = (NOW, "warning")
    assert policy.due(an_alert(), "warning", later, last) == (NOW + HOUR, False)
    assert policy.due(an_alert(), "critical", later, last) == (later, False)
    assert policy.due(an_alert(transition="resolved"), "warning", later, last) == (later, False)
    assert policy.due(an_alert(), "warning", NOW + 2 * HOUR, last) == (NOW + 2 * HOUR, False)


def test_reminders_are_counted_from_the_newest_transition():
    policy, alert = Policy(renotify=Renotify(HOUR, "warning")), an_alert()
    counts = [policy.reminders(alert, "warning", alert.at + n * HOUR / 2) for n in range(6)]
    assert counts == [0, 0, 1, 1, 2, 2]
    assert policy.reminders(alert, "info", alert.at + 9 * HOUR) == 0
    assert Policy(renotify=None).reminders(alert, "critical", alert.at + 9 * HOUR) == 0
