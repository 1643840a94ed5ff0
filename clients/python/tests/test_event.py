from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from spendstream._event import completed, new_event_id, resolved_defaults, void_of
from spendstream._rules import InvalidUsage, check
from spendstream._url import kafka_servers

CALL = {"provider": "openai", "model": "gpt-4o-mini", "team": "search"}


def test_an_event_id_is_a_version_7_uuid_of_now():
    before = time.time_ns() // 1_000_000
    value = UUID(new_event_id())
    assert value.version == 7
    assert value.variant == "specified in RFC 4122"
    assert before <= value.int >> 80 <= time.time_ns() // 1_000_000


def test_event_ids_differ():
    assert len({new_event_id() for _ in range(1000)}) == 1000


def test_what_is_left_out_is_filled_in():
    before = datetime.now(UTC)
    event = completed(CALL | {"input_tokens": 3}, {})
    check(event)
    assert before <= event["occurred_at"] <= datetime.now(UTC)
    assert (event["kind"], event["usage_source"]) == ("usage", "reported")


@pytest.mark.parametrize("tokens", [{}, {"input_tokens": None}])
def test_without_a_bucket_the_usage_is_missing(tokens):
    event = completed(CALL | tokens, {})
    check(event)
    assert event["usage_source"] == "missing"
    assert "input_tokens" not in event


def test_explicit_fields_win_over_defaults_and_those_over_the_environment():
    environment = {
        "SPENDSTREAM_TEAM": "from environment",
        "SPENDSTREAM_APPLICATION": "from environment",
        "SPENDSTREAM_DEPARTMENT": "from environment",
        "SPENDSTREAM_ENVIRONMENT": " ",
    }
    defaults = resolved_defaults({"team": "default", "application": "default"}, environment)
    event = completed({"team": "explicit", "application": None}, defaults)
    assert event["team"] == "explicit"
    assert event["application"] == "default"
    assert event["department"] == "from environment"
    assert "environment" not in event


@pytest.mark.parametrize("name", ["tema", "event_id", "occurred_at"])
def test_what_events_cannot_share_is_no_default(name):
    with pytest.raises(ValueError, match=rf"defaults: '{name}' is no field that events can share"):
        resolved_defaults({name: "x"}, {})


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (Decimal("0.00315"), "0.00315"),
        (Decimal("1E-7"), "0.0000001"),
        ("1E+2", "100"),
        (" 0.5 ", "0.5"),
        ("much", "much"),
        (Decimal("1E-999999"), "1E-999999"),
        (Decimal("NaN"), "NaN"),
    ],
)
def test_a_cost_becomes_plain_decimal_text(cost, text):
    assert completed(CALL | {"provider_cost": cost}, {})["provider_cost"] == text


def test_a_void_repeats_the_event_that_it_takes_back():
    original = completed(CALL | {"input_tokens": 3}, {})
    void = completed(void_of(original), {})
    check(void)
    assert void == original | {
        "kind": "void",
        "event_id": f"void:{original['event_id']}",
        "voids": original["event_id"],
    }


@pytest.mark.parametrize("name", ["event_id", "occurred_at"])
def test_a_void_needs_the_identity_and_the_time_of_its_original(name):
    original = completed(CALL, {})
    with pytest.raises(InvalidUsage, match=f"{name} is required"):
        void_of({key: value for key, value in original.items() if key != name})


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"team": None}, "missing_field", "team is required: pass team=, or set it in defaults="),
        ({"model": " "}, "blank_field", "model is empty"),
        ({"modle": "x"}, "unknown_field", "'modle' is no field of a usage event; use tags"),
        ({"provider": 3}, "invalid_field", "provider must be text, not int"),
        ({"region": "x" * 1025}, "invalid_field", "1025 characters; 1024 are allowed"),
        ({"user": "\ud800"}, "invalid_field", "user is not valid Unicode"),
        ({"input_tokens": -1}, "negative_tokens", "input_tokens is below zero"),
        ({"input_tokens": 1.0}, "invalid_field", "must be a whole number, not float"),
        ({"input_tokens": True}, "invalid_field", "must be a whole number, not bool"),
        ({"latency_ms": -1}, "negative_value", "latency_ms is below zero"),
        ({"latency_ms": 2**63}, "invalid_field", "does not fit into 64 bits"),
        ({"attempt": 0}, "bad_attempt", "the first attempt is 1"),
        ({"served_from_cache": 1}, "invalid_field", "must be True or False"),
        ({"occurred_at": datetime(2026, 1, 1)}, "invalid_field", "with a time zone"),  # noqa: DTZ001 - naive is the case
        ({"occurred_at": datetime(1999, 1, 1, tzinfo=UTC)}, "time_out_of_range", "2000 to 2099"),
        ({"service_tier": "gold"}, "invalid_field", "one of standard, batch, flex, priority"),
        ({"tags": ["a"]}, "invalid_field", "tags must be a mapping"),
        ({"tags": {"a": 1}}, "invalid_field", "tags must be text"),
        ({"provider_cost": "-1"}, "bad_provider_cost", "not negative"),
        ({"provider_cost": 0.1}, "invalid_field", "provider_cost must be text, not float"),
        ({"input_tokens": 10**9, "output_tokens": 1}, "too_many_tokens", "1000000001 tokens"),
        ({"usage_source": "reported"}, "no_tokens", "no bucket is set"),
        (
            {"usage_source": "missing", "input_tokens": 1},
            "tokens_without_source",
            "input_tokens is set",
        ),
        (
            {"input_tokens": 1, "total_tokens": 2},
            "tokens_do_not_add_up",
            "add up to 1, total_tokens says 2",
        ),
        ({"voids": "x"}, "bad_void", "voids is set, yet kind is usage"),
        ({"event_id": "void:x"}, "bad_void", "may not start with void:"),
        ({"kind": "void"}, "bad_void", "a void names in voids the event it takes back"),
    ],
)
def test_a_broken_rule_is_named_in_one_line(fields, code, words):
    with pytest.raises(InvalidUsage) as refused:
        check(completed(CALL | fields, {}))
    assert refused.value.code == code
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("kafka://localhost:9092", (("localhost", 9092),)),
        ("kafka://a:1,b:2/", (("a", 1), ("b", 2))),
        ("kafka://broker", (("broker", 9092),)),
        ("kafka://[::1]:9093", (("::1", 9093),)),
    ],
)
def test_a_kafka_url_names_its_servers(url, servers):
    assert kafka_servers(url) == servers


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("amqp://x:1", "cannot send usage events to amqp://; kafka://host:port"),
        ("localhost:9092", "to a URL without a scheme; kafka://host:port"),
        ("kafka://", "lacks a host"),
        ("kafka://a:b", "'a:b' is no host and port"),
        ("kafka://a:1/topic", "more than hosts and ports"),
        ("kafka://me:secret@a:1", "more than hosts and ports"),
    ],
)
def test_another_url_is_a_mistake_that_says_what_is_right(url, words):
    with pytest.raises(ValueError, match="kafka://host:port") as refused:
        kafka_servers(url)
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)
