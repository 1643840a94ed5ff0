"""OpenMeter's documented events, and LiteLLM's, as usage events of ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.errors import InvalidEvent
from schemas.usage import checked
from streams.web.cloudevents import posted
from streams.web.openmeter import usage_fields

RECEIVED = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


def event(data: Any, **attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "prompt",
        "id": "00001",
        "time": "2026-01-01T00:00:00.001Z",
        "source": "chat-app",
        "subject": "customer-1",
        "data": data,
        **attributes,
    }


def test_the_event_of_openmeters_documentation_is_read():
    data = {"tokens": "123456", "model": "gpt-4-turbo", "type": "output"}
    fields = usage_fields(event(data), RECEIVED)
    made = checked({"provider": "openai", "team": "search"} | fields)
    assert made.event_id == "chat-app/00001"
    assert (made.customer, made.application) == ("customer-1", "chat-app")
    assert (made.output_tokens, made.input_tokens) == (123456, None)
    assert made.occurred_at == datetime(2026, 1, 1, 0, 0, 0, 1000, UTC)
    assert made.tags is None


@pytest.mark.parametrize("side", ["input", "system"])
def test_tokens_of_the_prompt_are_input(side: str):
    fields = usage_fields(event({"tokens": 7, "type": side}), RECEIVED)
    assert fields["input_tokens"] == 7


def test_the_event_that_litellm_sends_is_read():
    data = {
        "model": "gpt-4o",
        "cost": 0.00042,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "team": "search",
        "provider": "openai",
    }
    made = checked(usage_fields(event(data, type="litellm_tokens"), RECEIVED))
    assert (made.input_tokens, made.output_tokens, made.total_tokens) == (10, 5, 15)
    assert made.tags == {"cost": "0.00042"}


def test_what_the_data_name_like_our_fields_are_fields_and_the_rest_are_tags():
    data = {
        "tokens": 1,
        "type": "input",
        "team": "search",
        "customer": "acme",
        "application": "agent",
        "region": "eu",
        "latency": 12.5,
        "labels": {"a": [1]},
        "note": "hi",
    }
    fields = usage_fields(event(data), RECEIVED)
    assert (fields["team"], fields["customer"], fields["application"]) == (
        *("search", "acme", "agent"),
    )
    assert fields["region"] == "eu"
    assert fields["tags"] == {"latency": "12.5", "labels": '{"a": [1]}', "note": "hi"}


def test_an_event_without_a_time_happened_when_it_came():
    fields = usage_fields(event({"tokens": 1, "type": "input"}, time=None), RECEIVED)
    assert fields["occurred_at"] == RECEIVED


def test_the_same_id_of_two_sources_is_two_events():
    data = {"tokens": 1, "type": "input"}
    ids = {usage_fields(event(data, source=s), RECEIVED)["event_id"] for s in ("a", "b")}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        ({"model": "m"}, "missing_field", "neither usage_source"),
        ({"tokens": 1, "model": "m"}, "missing_field", "data.type: is 'null'; input, output"),
        ({"tokens": 1, "type": "audio"}, "invalid_field", "data.type: is 'audio'"),
        ({"tokens": 1, "type": ["input"]}, "invalid_field", "data.type"),
        ({"tokens": 1.5, "type": "input"}, "invalid_field", "data.tokens: is 1.5; a whole"),
        ({"tokens": True, "type": "input"}, "invalid_field", "data.tokens: is true"),
        ({"tokens": "1_000", "type": "input"}, "invalid_field", "data.tokens: is 1_000"),
        ({"tokens": "9" * 19, "type": "input"}, "invalid_field", "data.tokens"),
        ({"tokens": None, "type": "input"}, "invalid_field", "data.tokens: is null"),
        ({"tokens": 1, "type": "input", "prompt_tokens": 1}, "invalid_field", "send one"),
        ("text", "bad_cloudevent", "data of the CloudEvent is not an object"),
    ],
)
def test_tokens_that_cannot_be_told_are_refused_with_the_reason(data: Any, code: str, said: str):
    with pytest.raises(InvalidEvent) as caught:
        usage_fields(event(data), RECEIVED)
    assert caught.value.refusal.code == code
    assert said in caught.value.refusal.detail


@pytest.mark.parametrize("attributes", [{"source": None}, {"source": 1}, {"id": 1}, {"id": ""}])
def test_an_envelope_without_identity_is_refused(attributes: dict[str, Any]):
    with pytest.raises(InvalidEvent, match="bad_cloudevent"):
        usage_fields(event({"tokens": 1, "type": "input"}, **attributes), RECEIVED)


def test_data_with_a_usage_source_are_ours_whatever_the_type():
    ours = {"usage_source": "reported", "input_tokens": 1}
    fields = posted(event(ours), RECEIVED)
    assert fields == ours | {"event_id": "00001", "occurred_at": "2026-01-01T00:00:00.001Z"}
