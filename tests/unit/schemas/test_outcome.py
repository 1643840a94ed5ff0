"""The outcome event: what is valid, what is told where it is not, and its bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.errors import InvalidEvent
from schemas.outcome import (
    MAX_OUTCOME_BYTES,
    checked_outcome,
    decode_outcome,
    encode_outcome,
    not_of_the_future,
)

OUTCOME = {
    "outcome_id": "o-1",
    "occurred_at": "2026-03-10T13:00:00+01:00",
    "of": "call-1",
    "name": "quality",
    "value": "0.87",
}


def test_what_was_encoded_is_what_is_decoded():
    outcome = checked_outcome({**OUTCOME, "team": "search", "tags": {"judge": "größer"}})
    assert decode_outcome(encode_outcome(outcome)) == outcome
    assert outcome.occurred_at == datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert outcome.amount == Decimal("0.87")


@pytest.mark.parametrize(
    ("value", "plain"), [("-1.5", "-1.5"), ("1E+2", "100"), ("0.000000000001", "0.000000000001")]
)
def test_a_value_is_plain_decimal_text(value, plain):
    assert checked_outcome(OUTCOME | {"value": value}).value == plain


def test_the_key_is_the_workflow_and_without_one_the_call():
    assert checked_outcome(OUTCOME).key == "call-1"
    assert checked_outcome(OUTCOME | {"workflow": "run-7"}).key == "run-7"


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"value": 0.87}, "bad_value", "value: is not text; write the number in quotes"),
        ({"value": "high"}, "bad_value", "value: is 'high'; a decimal number as text"),
        ({"value": "NaN"}, "bad_value", "value: is 'NaN'"),
        ({"value": "1e15"}, "bad_value", "below 10^15"),
        ({"value": "0.0000000000001"}, "bad_value", "at most 12 decimals"),
        ({"of": None}, "no_subject", "says neither of (the event_id of a call) nor workflow"),
        ({"of": " "}, "blank_field", "of: is empty"),
        ({"name": ""}, "blank_field", "name: is empty"),
        ({"occurred_at": 1773144000}, "invalid_field", "occurred_at: is not ISO 8601 text"),
        ({"occurred_at": "1970-01-01T00:00:00Z"}, "time_out_of_range", "2000 to 2099"),
        ({"score": "1"}, "unknown_field", "score is no field of an outcome; use tags"),
    ],
)
def test_an_outcome_that_breaks_a_rule_is_told_which(changes: dict[str, Any], code, told):
    with pytest.raises(InvalidEvent) as refused:
        checked_outcome(OUTCOME | changes)
    assert refused.value.refusal.code == code
    assert told in refused.value.refusal.detail


def test_a_missing_field_and_what_is_no_object_are_told():
    with pytest.raises(InvalidEvent, match="missing_field: outcome_id is required"):
        checked_outcome({name: v for name, v in OUTCOME.items() if name != "outcome_id"})
    with pytest.raises(InvalidEvent, match="invalid_field: an outcome is a JSON object"):
        checked_outcome(["quality"])


def test_an_outcome_of_the_future_is_refused():
    outcome = checked_outcome(OUTCOME)
    not_of_the_future(outcome, outcome.occurred_at - timedelta(minutes=10))
    with pytest.raises(InvalidEvent, match="time_in_future"):
        not_of_the_future(outcome, outcome.occurred_at - timedelta(minutes=10, seconds=1))


def test_what_is_no_outcome_on_the_topic_is_told():
    for value, code in (
        (None, "empty_value"),
        (b"{", "undecodable_json"),
        (b" " * (MAX_OUTCOME_BYTES + 1), "event_too_large"),
    ):
        with pytest.raises(InvalidEvent) as refused:
            decode_outcome(value)
        assert refused.value.refusal.code == code
