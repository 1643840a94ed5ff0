"""Provider outages: told from broken clients, at a provider or one model, and what they excuse."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from tests.support.storm_watch import Watch, failed, minute, told

OUTAGE, STORM = ("provider_outage", "opened"), ("retry_storm", "opened")


def down(team: str, calls: int = 10, at: int = 0, **changes: Any) -> dict[str, Any]:
    """Failed calls of a team, by an application of its own, at provider `own`."""
    fields = {"status": "error", "error_code": "503", "application": f"{team}-app"}
    return failed(calls, at, team=team, **(fields | changes))


def up(team: str, calls: int, at: int = 0, **changes: Any) -> dict[str, Any]:
    return down(team, calls, at, **({"status": "ok", "error_code": None} | changes))


def three_down(calls: int = 10, at: int = 0, **changes: Any) -> list[dict[str, Any]]:
    return [down(team, calls, at, **changes) for team in ("a", "b", "c")]


def test_three_teams_that_fail_at_one_provider_are_an_outage_at_once():
    (alert,) = Watch().entry(
        down("a", 12, cost=Decimal("0.02"), input_tokens=500), down("b", 3), down("c", 9)
    )
    assert told([alert]) == [OUTAGE]
    assert (alert.scope, alert.severity) == ({"provider": "own"}, "warning")
    assert alert.title == "Provider outage: own fails for 3 teams"
    assert "24 of 24 calls (100 %) failed, of 3 teams, mostly with 503" in alert.detail
    assert "it is the provider, not one client" in alert.detail
    assert alert.action.startswith("Fail over to another provider, and open the circuit breaker")
    assert [(part.name, part.calls, part.tokens) for part in alert.contributors] == [
        ("team a", 12, 500),
        ("team c", 9, 0),
        ("team b", 3, 0),
    ]
    assert (alert.value, alert.limit, alert.unit) == (24, 20, "failed calls")
    assert "Wasted: $2.02 and 500 tokens." in alert.detail
    assert alert.trend == (*[0] * 10, 24)


@pytest.mark.parametrize("status", ["error", "timeout", "rate_limited"])
def test_every_failure_of_the_providers_counts(status):
    assert told(Watch().entry(*three_down(status=status))) == [OUTAGE]


def test_who_cancels_does_so_on_their_own_side():
    assert Watch().entry(*three_down(status="cancelled")) == []


def test_two_teams_are_no_outage():
    assert Watch().entry(down("a", 19), down("b", 19)) == []


def test_a_team_with_two_failures_does_not_count():
    assert Watch().entry(down("a", 15), down("b", 15), down("c", 2)) == []


def test_fewer_failures_than_the_minimum_are_no_outage():
    assert Watch().entry(down("a", 6), down("b", 6), down("c", 6)) == []


def test_a_provider_that_answers_most_calls_is_not_down():
    assert Watch().entry(*three_down(), up("d", 31)) == []


def test_one_team_that_is_turned_away_is_a_broken_client_whatever_else_fails_a_little():
    # Together 58 of 100 fail, of three teams; without the one team hardly any.
    limited = {"status": "rate_limited", "error_code": "429"}
    few = [row for team in ("b", "c") for row in (up(team, 21), down(team, 4, **limited))]
    assert told(Watch().entry(down("a", 50, **limited), *few)) == [STORM]


def test_one_application_of_many_teams_is_a_broken_client_where_others_are_answered():
    rows = [down(team, 30, application="copilot") for team in ("a", "b", "c")]
    alerts = Watch().entry(*rows, up("d", 50), up("e", 10))
    assert told(alerts) == [STORM] * 3


def test_one_application_that_is_all_there_is_cannot_be_told_from_its_provider():
    rows = [down(team, 30, application="copilot") for team in ("a", "b", "c")]
    assert told(Watch().entry(*rows)) == [STORM] * 3


def test_one_model_of_many_is_an_outage_of_that_model():
    watch = Watch()
    (alert,) = watch.entry(*three_down(model="new"), up("a", 500, model="old"))
    assert told([alert]) == [OUTAGE]
    assert alert.scope == {"provider": "own", "model": "new"}
    assert alert.title == "Provider outage: own new fails for 3 teams"
    assert alert.action.startswith("Fail over to another model")


def test_two_models_of_many_are_outages_of_each():
    rows = [*three_down(model="new"), *three_down(model="newer"), up("a", 500, model="old")]
    assert [alert.scope.get("model") for alert in Watch().entry(*rows)] == ["new", "newer"]


def test_models_that_all_fail_are_an_outage_of_the_provider():
    rows = [*three_down(model="new"), *three_down(model="old"), *three_down(5, model="older")]
    (alert,) = Watch().entry(*rows)
    assert alert.scope == {"provider": "own"}


def test_an_outage_of_the_provider_stays_one_until_its_last_model_is_up():
    watch = Watch()
    watch.entry(*three_down(model="new"), *three_down(model="old"))
    for at in range(1, 6):
        rows = [*three_down(8, model="new", at=at), up("a", 900, at, model="old")]
        assert watch.entry(*rows) == []
    assert told(watch.entry(up("a", 900, 8))) == [("provider_outage", "resolved")]


def test_an_outage_of_a_model_that_becomes_one_of_the_provider_stays_open_beside_it():
    watch = Watch()
    watch.entry(*three_down(model="new"), up("a", 500, model="old"))
    (wider,) = watch.entry(*three_down(40, 2, model="new"), *three_down(90, 2, model="old"))
    assert wider.scope == {"provider": "own"}
    assert watch.tick(minute(3.9)) == []
    assert told(watch.tick(minute(4))) == [("provider_outage", "resolved")] * 2


def test_an_outage_escalates_at_ten_times_the_minimum_and_is_over_when_calls_are_answered():
    watch = Watch()
    said = [
        (alert.transition, alert.level, alert.severity)
        for at in range(12)
        for alert in watch.entry(*(three_down(10, at) if at < 8 else [up("a", 100, at)]))
    ]
    assert said == [
        ("opened", 1, "warning"),
        ("escalated", 2, "critical"),
        ("resolved", 2, "info"),
    ]


def test_an_outage_keeps_its_name_over_a_restart():
    before = Watch()
    before.entry(*three_down())
    after = before.restarted(*three_down(), now=minute(0))
    after.entry(*three_down(90, 1))
    after.tick(minute(4))
    assert [alert.number for alert in after.published] == [1, 2, 3]


# What an outage excuses.


def test_no_storm_is_opened_for_a_client_of_a_provider_that_is_down():
    watch = Watch()
    rows = [*three_down(60), down("a", 200, is_retry=True)]
    assert told(watch.entry(*rows)) == [OUTAGE]
    for at in range(1, 6):
        assert OUTAGE not in told(new := watch.entry(*three_down(60, at)))
        assert STORM not in told(new)


def test_a_storm_at_another_provider_is_opened_all_the_same():
    alerts = Watch().entry(*three_down(60), failed(60, provider="other"))
    assert sorted(told(alerts)) == [OUTAGE, STORM]
    # A fifth of what it wastes is not at the provider that is down: it has a fault of its own.
    mixed = [failed(31, provider="other", application="a-app", team="a"), *three_down(120)]
    assert sorted(told(Watch().entry(*mixed))) == [OUTAGE, STORM]


def test_an_outage_of_a_model_excuses_no_storm_at_another():
    rows = [*three_down(60, model="new"), up("b", 500, model="old"), failed(60, model="other")]
    assert sorted(told(Watch().entry(*rows))) == [OUTAGE, STORM]


@pytest.mark.parametrize("rows", list(permutations(three_down(25))))
def test_within_one_entry_the_order_of_the_rows_does_not_matter(rows):
    assert told(Watch().entry(*rows)) == [OUTAGE]


def test_where_the_outage_is_evident_first_its_clients_have_no_storm():
    watch = Watch()
    assert told(watch.entry(*three_down())) == [OUTAGE]
    assert watch.entry(down("a", 90)) == []


def test_where_a_client_is_first_its_storm_stays_and_does_not_escalate():
    watch = Watch()
    assert told(watch.entry(down("a", 25))) == [STORM]
    assert told(watch.entry(down("b", 25), down("c", 25))) == [OUTAGE]
    for at in range(1, 5):
        assert STORM not in told(watch.entry(*three_down(600, at)))
    watch.tick(minute(10))
    assert told(watch.published) == [
        STORM,
        OUTAGE,
        ("provider_outage", "escalated"),
        ("provider_outage", "resolved"),
        ("retry_storm", "resolved"),
    ]
    assert "own is failing for other teams too" in watch.published[-1].detail


def test_a_client_that_does_not_stop_after_the_outage_has_a_storm_then():
    watch = Watch()
    watch.entry(*three_down(30))
    told_of = [
        alert
        for at in range(1, 9)
        for alert in watch.entry(down("a", 30, at), up("b", 90, at), up("c", 90, at))
    ]
    assert told(told_of[:2]) == [("provider_outage", "resolved"), STORM]
    # The outage counts as going on until it has been quiet for long enough.
    assert told_of[1].period == minute(3).isoformat()


def test_what_an_outage_excused_is_still_excused_after_a_restart():
    rows = [row for at in range(3) for row in three_down(60, at)]
    before = Watch()
    before.entry(*rows)
    before.tick(minute(6))
    assert told(before.published)[-1] == ("provider_outage", "resolved")
    for later in (6, 20):
        after = before.restarted(*rows, now=minute(later))
        assert after.tick(minute(later)) == []
