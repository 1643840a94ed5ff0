"""Access: one alert per rule, team, user, tier and day, while a forbidden call is left."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from streams.detectors.access import Access
from streams.detectors.settings_file import Detectors
from tests.support.detectors import entry, fed, later, row, states

DAY = 24 * 60
RULES = [
    {"team": "support", "tiers": ["balanced"]},
    {"name": "nobody else", "environment": "production", "tiers": ["cost-optimised"]},
]


def detectors(rules: list[dict[str, Any]] | None = None, **access: Any) -> Detectors:
    return Detectors.model_validate({"access": {"rules": rules or RULES, **access}})


def call(at=0, count=1, model="gpt-5", **changes):
    fields = {"team": "support", "user": "ana", "provider": "openai", "model": model}
    return row(at, count, **(fields | changes))


def reported(*rows, now=None):
    return fed(Access(detectors()), *rows, now=now)


def test_a_forbidden_call_is_told():
    (alert,) = reported(call(0, 3, cost=Decimal("1.5")))
    assert (alert.rule, alert.transition, alert.severity) == ("access", "opened", "warning")
    assert alert.scope == {"team": "support", "user": "ana"}
    assert (alert.period, alert.threshold) == ("2026-03-10", "team support: frontier")
    assert (alert.value, alert.limit, alert.unit) == (3, 0, "calls")
    assert alert.title == "3 calls of frontier models by ana of team support, $1.50: not allowed"
    assert alert.since.isoformat() == "2026-03-10T00:00:00+00:00"
    assert alert.until is not None
    assert alert.until.isoformat() == "2026-03-11T00:00:00+00:00"


def test_an_allowed_call_is_not():
    assert reported(call(model="gpt-4o")) == []


def test_models_of_one_tier_are_one_alert_that_names_them():
    (alert,) = reported(call(0, 2), call(0, 5, model="o3", cost=Decimal(9)))
    assert alert.value == 7
    assert [(one.name, one.calls) for one in alert.contributors] == [
        ("openai/o3", 5),
        ("openai/gpt-5", 2),
    ]


def test_each_rule_team_user_tier_and_day_is_an_alert_of_its_own():
    production = {"environment": "production"}
    rows = [
        call(),
        call(user="eve"),
        call(user=None),
        call(model="gpt-5-mini"),
        call(at=-DAY),
        call(team="search", **production),
        call(team="search", model="gpt-4o", **production),
    ]
    alerts = reported(*rows)
    assert len({alert.alert_id for alert in alerts}) == len(alerts) == len(rows)
    assert {alert.threshold for alert in alerts} == {
        "team support: frontier",
        "team support: cost-optimised",
        "nobody else: frontier",
        "nobody else: balanced",
    }


def test_more_of_the_same_day_is_the_same_alert():
    detector = Access(detectors())
    alerts = fed(detector, call()) + fed(detector, call(5, 4))
    assert states(alerts) == ["opened 1", "opened 1"]
    assert len({alert.alert_id for alert in alerts}) == 1
    assert [alert.value for alert in alerts] == [1, 5]


def test_what_others_do_is_not_reported_again():
    detector = Access(detectors())
    fed(detector, call())
    assert [alert.scope["user"] for alert in fed(detector, call(user="eve"))] == ["eve"]


def test_a_void_brings_it_back_and_resolves_it():
    detector = Access(detectors())
    (opened,) = fed(detector, call(0, 2))
    assert states(fed(detector, call(0, -1))) == ["opened 1"]
    (over,) = fed(detector, call(0, -1))
    assert (over.transition, over.alert_id) == ("resolved", opened.alert_id)


def test_shadow_calls_are_nobodys():
    assert reported(call(is_shadow=True)) == []
    (alert,) = reported(call(), call(is_shadow=True, cost=Decimal(50)))
    assert alert.contributors[0].cost == 1


def test_calls_without_a_known_cost_are_forbidden_too():
    (alert,) = reported(call(cost=None))
    assert alert.title == "1 call of frontier models by ana of team support: not allowed"
    assert alert.contributors[0].cost is None


def test_yesterday_is_judged_and_the_day_before_is_not():
    assert len(reported(call(-DAY), now=0)) == 1
    assert reported(call(-2 * DAY), now=0) == []


def test_a_restart_reports_the_same_alerts():
    rows = [call(), call(user="eve"), call(at=-DAY)]
    ids = {alert.alert_id for alert in reported(*rows, now=5)}
    again = Access(detectors())
    for alert in reported(*rows, now=5):
        again.remember(alert)
    after = fed(again, *rows, now=700)
    assert {alert.alert_id for alert in after} == ids
    assert {alert.transition for alert in after} == {"opened"}


def test_what_other_rules_allow_is_resolved_at_the_restart():
    (opened,) = reported(call())
    looser = Access(detectors([{"team": "support", "tiers": ["frontier"]}]))
    looser.remember(opened)
    (over,) = fed(looser, call())
    assert (over.transition, over.alert_id) == ("resolved", opened.alert_id)
    assert over.title.startswith("No longer so: 1 call of frontier")
    assert fed(looser, call(1)) == []


def test_the_order_of_entries_does_not_matter():
    rng = random.Random(2)
    rows = [
        call(rng.randrange(-DAY, DAY), rng.choice([1, 2, -1]), user=rng.choice(["ana", "eve"]))
        for _ in range(60)
    ]
    expected = {(a.alert_id, a.value) for a in reported(*rows)}
    assert expected
    for _ in range(3):
        rng.shuffle(rows)
        detector = Access(detectors())
        for start in range(0, len(rows), 9):
            detector.apply(entry(*rows[start : start + 9]))
        now = max(fields["minute"] for fields in rows)
        assert {(a.alert_id, a.value) for a in detector.alerts(entry(rows[0]).at, now)} == expected


def test_time_alone_brings_nothing():
    detector = Access(detectors())
    fed(detector, call())
    assert later(detector, 3 * DAY) == []
