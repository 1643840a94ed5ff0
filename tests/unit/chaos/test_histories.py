"""The fault suite's view of alerts: each exactly one history."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.chaos.histories import Told, due, faults, missing

MONTH = "2026-11"
SPENT = {("atlas", MONTH): 500 * 10**12, ("kilo", MONTH): 10**15}
WANTED = due(SPENT, Decimal(1000), (40, 50, 60))


def told(alert: str, transition: str = "opened", number: int = 1, **changes: Any) -> Told:
    fields = {
        "rule": "budget",
        "team": "atlas",
        "title": "a budget",
        "severity": "info",
        "versions": 1,
        "at": datetime(2026, 11, 23, 12, tzinfo=UTC),
    }
    return Told(alert, number, transition, **(fields | changes))


RIGHT = [told(alert) for alert in WANTED]
TAKEN = {t.name: 1 for t in RIGHT}


def test_the_alerts_of_steady_teams_follow_from_what_they_spent():
    assert sorted(WANTED.values()) == [f"atlas {MONTH} 40 %", f"atlas {MONTH} 50 %"]


def test_one_history_each_is_right():
    assert faults(RIGHT, WANTED, TAKEN, losses=0) == []
    assert missing(RIGHT, WANTED, TAKEN, TAKEN) == set()


def test_what_has_not_come_is_missing():
    assert missing([], WANTED, {}, ()) == {f"not opened: {what}" for what in WANTED.values()}
    assert missing(RIGHT, WANTED, {}, TAKEN) == {"not delivered: a budget"}
    assert missing(RIGHT, WANTED, TAKEN, ()) == {"not recorded as delivered: a budget"}


def test_every_wrong_history_is_named():
    swing = {"team": "swing"}
    cases = {
        "told in 2 ways": told("b", versions=2, **swing),
        "resolved, which it must not be": told(RIGHT[0].alert, "resolved", 2),
        "opened, which it must not be": told("c"),
        "resolved is number 2 of its history": told("d", "resolved", 2, **swing),
        "resolved follows None": told("f", "resolved", **swing),
        "an alert nobody expected": told("e", rule="drift", team=None, severity="critical"),
    }
    for said, wrong in cases.items():
        names = TAKEN | {wrong.name: 1}
        (problem,) = faults([*RIGHT, wrong], WANTED, names, losses=0)
        assert said in problem


def test_a_loss_to_retention_has_one_critical_alert():
    loss = told("f", rule="events_lost", team=None, severity="critical")
    taken = TAKEN | {"f:1": 1}
    assert faults([*RIGHT, loss], WANTED, taken, losses=1) == []
    assert len(faults([*RIGHT, loss], WANTED, taken, losses=2)) == 1
    mild = told("f", rule="events_lost", team=None)
    assert any("nobody expected" in said for said in faults([*RIGHT, mild], WANTED, taken, 1))


def test_a_delivery_that_is_on_no_record_is_named():
    (problem,) = faults(RIGHT, WANTED, TAKEN | {"x:1": 1}, losses=0)
    assert "x:1 was delivered" in problem
