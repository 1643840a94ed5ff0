from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from schemas.alerts import Alert, Contributor, Silence, alert_id, read_record

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def alert(**changes: object) -> Alert:
    fields = {
        "rule": "budget",
        "scope": {"team": "search", "application": "agent"},
        "period": "2026-11",
        "threshold": "80",
        "transition": "opened",
        "severity": "warning",
        "title": "search has spent 80 % of its budget",
        "detail": "…",
        "action": "…",
        "value": Decimal("800.000000000001"),
        "limit": Decimal("1000"),
        "since": AT,
        "at": AT,
        "contributors": (Contributor(name="gpt-5", cost=Decimal("1.5"), calls=3),),
        "journal": "cluster-1",
        "position": 41,
    }
    return Alert.model_validate({**fields, **changes})


def test_an_alert_survives_json_to_the_last_digit():
    before = alert()
    after = Alert.model_validate_json(before.model_dump_json())
    assert after == before
    assert after.value == Decimal("800.000000000001")


def test_all_transitions_of_an_alert_share_its_id():
    opened, resolved = alert(), alert(transition="resolved", number=2, position=99)
    assert opened.alert_id == resolved.alert_id
    assert opened.transition_id == f"{opened.alert_id}:1"
    assert resolved.transition_id == f"{opened.alert_id}:2"


def test_the_order_of_a_scope_does_not_matter_to_its_id():
    assert alert(scope={"application": "agent", "team": "search"}).alert_id == alert().alert_id


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "drift"},
        {"scope": {"team": "search"}},
        {"period": "2026-12"},
        {"threshold": "100"},
    ],
)
def test_each_part_of_an_alert_changes_its_id(changes):
    assert alert(**changes).alert_id != alert().alert_id


@pytest.mark.parametrize(
    ("scope", "other"),
    [
        ({"team": "a\x1fuser=b"}, {"team": "a", "user": "b"}),
        ({"team": "a=b"}, {"team=a": "b"}),
        ({"team": 'a", "user": "b'}, {"team": "a", "user": "b"}),
    ],
)
def test_names_that_hold_separators_do_not_collide(scope, other):
    assert alert_id("budget", scope, "p", "t") != alert_id("budget", other, "p", "t")


def test_the_id_does_not_depend_on_the_process():
    assert alert_id("budget", {"team": "search"}, "2026-11", "80") == "835b478ec2c7d3d8"


def test_a_scope_reads_as_text():
    assert alert().scope_text == "team search, application agent"


@pytest.mark.parametrize(
    "changes",
    [
        {"at": datetime(2026, 11, 21, 9, 30)},  # noqa: DTZ001 - that it is refused is the point
        {"title": "x" * 151},
        {"rule": "weather"},
        {"transition": "closed"},
        {"unknown": 1},
        {"position": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_alert_that_breaks_the_contract_is_refused(changes):
    with pytest.raises(ValidationError):
        alert(**changes)


def test_transitions_from_before_they_were_numbered_are_the_first_and_the_second():
    body = alert().model_dump(mode="json", exclude={"number"})
    assert Alert.model_validate(body).number == 1
    assert Alert.model_validate(body | {"transition": "resolved"}).number == 2


def a_silence(**changes):
    fields = {"silence": "s1", "until": AT + timedelta(hours=1), "by": "ada", "at": AT}
    return Silence(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, True),
        ({"rule": "budget"}, True),
        ({"rule": "retry_storm"}, False),
        ({"scope": {"team": "search"}}, True),
        ({"scope": {"team": "other"}}, False),
        ({"scope": {"team": "search", "user": "ada"}}, False),
        ({"until": AT}, False),
    ],
)
def test_a_silence_covers_what_it_names(changes, covered):
    assert a_silence(**changes).matches(alert(), AT) is covered


def test_a_record_of_the_topic_is_an_alert_a_silence_or_passed_over():
    for record in (alert(), a_silence()):
        assert read_record(record.model_dump_json().encode()) == record
    for value in (None, b"", b"[]", b"{}", b"\xff", b'{"silence": 1}', b"[" * 5000):
        assert read_record(value) is None
