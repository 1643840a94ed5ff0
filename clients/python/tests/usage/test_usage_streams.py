from __future__ import annotations

import pytest
from spendstream.usage import StreamReader
from usage_bodies import STREAMED, Case, streamed

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "x" * 40}]}
"""Ten tokens, by four characters a token."""


def cut(name: str, events: int, request: Case | None = None) -> dict[str, object]:
    case = STREAMED[name] | ({"request": request} if request else {})
    return dict(streamed(case, case["events"][:events]).usage(complete=False))


def test_a_chat_that_was_cut_off_is_estimated_from_text_and_request():
    fields = cut("chat stream whose last chunk has the usage and no choices", 2, REQUEST)
    assert fields == {
        "provider": "openai",
        "model": "gpt-4o-mini-2024-07-18",
        "requested_model": "m",
        "request_id": "chatcmpl-123",
        "service_tier": "standard",
        "usage_source": "estimated",
        "input_tokens": 10,
        "output_tokens": 2,
    }


def test_a_chat_that_ended_without_usage_is_estimated_and_ok():
    case = STREAMED["chat stream whose last chunk has the usage and no choices"]
    fields = streamed(case | {"request": REQUEST}, case["events"][:3]).usage(complete=True)
    assert (fields["usage_source"], fields["status"]) == ("estimated", "ok")
    assert (fields["input_tokens"], fields["output_tokens"]) == (10, 2)


def test_usage_that_arrived_is_reported_even_if_the_stream_was_then_cut():
    assert cut("chat stream whose last chunk has the usage and no choices", 4)["usage_source"] == (
        "reported"
    )


@pytest.mark.parametrize("complete", [True, False])
def test_a_message_that_was_cut_off_keeps_the_exact_prompt(complete: bool):
    case = STREAMED["message stream with cumulative usage"]
    reader = streamed(case, case["events"][:5])
    fields = reader.usage(complete=complete)
    assert fields["usage_source"] == "estimated"
    assert fields["input_tokens"] == 2679
    assert fields["output_tokens"] == 6  # 23 characters
    assert "status" not in fields


def test_what_the_provider_has_counted_so_far_is_the_least():
    start = STREAMED["message stream with cumulative usage"]["events"][0]["data"]
    reader = StreamReader("anthropic")
    reader.feed(start)
    assert reader.usage(complete=False)["output_tokens"] == 3


def test_a_gemini_stream_that_was_cut_off_has_its_counts_so_far_marked_as_estimated():
    fields = cut("vertex stream", 2)
    assert fields["usage_source"] == "estimated"
    assert (fields["input_tokens"], fields["output_tokens"], fields["reasoning_tokens"]) == (
        8,
        2,  # 5 characters
        30,
    )
    assert "total_tokens" not in fields


@pytest.mark.parametrize(
    ("name", "events", "buckets"),
    [
        ("response stream that was cut at max_output_tokens", 2, {"output_tokens": 3}),
        ("converse stream as boto3 gives it", 4, {"output_tokens": 2}),
        ("converse stream as it comes over the wire", 3, {"output_tokens": 2}),
        ("invoke model stream", 1, {}),
        ("mistral stream", 1, {"reasoning_tokens": 1}),
        ("cohere stream", 4, {"output_tokens": 1}),
        ("deepseek stream", 1, {"reasoning_tokens": 1}),
        ("groq stream", 1, {"output_tokens": 2}),
        ("openrouter stream", 1, {"output_tokens": 1}),
    ],
)
def test_every_dialect_is_estimated_from_the_text_that_came(name, events, buckets):
    fields = cut(name, events, REQUEST)
    assert fields["usage_source"] == "estimated"
    assert {n: fields[n] for n in fields if n.endswith("_tokens")} == {"input_tokens": 10} | buckets


def test_a_stream_without_an_event_is_missing():
    fields = StreamReader("openai", REQUEST).usage(complete=False)
    assert fields == {"provider": "openai", "model": "m", "usage_source": "missing"}


@pytest.mark.parametrize("event", ["error", None])
def test_a_stream_that_failed_before_any_answer_is_missing(event):
    reader = StreamReader("anthropic", REQUEST)
    error = {"type": "rate_limit_error", "message": "Slow down."}
    reader.feed({"error": error} | ({"type": "error"} if event else {}), event=event)
    fields = reader.usage(complete=False)
    assert fields["usage_source"] == "missing"
    assert (fields["status"], fields["error_code"]) == ("rate_limited", "rate_limit_error")


def test_an_exception_of_bedrock_is_an_error():
    reader = StreamReader("bedrock", REQUEST)
    reader.feed({"message": "Too many requests"}, event="throttlingException")
    assert reader.usage()["status"] == "rate_limited"


@pytest.mark.parametrize(
    ("request_body", "tokens"),
    [
        ({"messages": [{"content": "漢字かな한국"}]}, 4),  # 6 characters, 0.6 each: 3.6
        ({"messages": [{"content": "abc漢"}]}, 2),  # 3 / 4 + 0.6 = 1.35
        ({"system": "abcd", "messages": [{"content": [{"type": "text", "text": "abcd"}]}]}, 2),
        ({"input": "abcdefgh"}, 2),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "abcd"}]}]}, 1),
        ({"contents": [{"parts": [{"text": "abcd"}, {"inlineData": {"data": "A" * 99}}]}]}, 1),
        ({"messages": [{"content": [{"image": {"source": {"bytes": b"x" * 99}}}]}]}, None),
        ({"messages": [{"content": [{"image_url": {"url": "data:" + "A" * 99}}]}]}, None),
        ({"tools": [{"name": "abcd", "input_schema": {"type": "object"}}]}, 4),  # 14 characters
        ({"prompt": ["abcd", "abcd"]}, 2),
        ({"prompt": [1, 2, 3]}, None),
        ({"messages": "abcd"}, 1),
        ({"temperature": "abcd"}, None),
    ],
)
def test_the_prompt_is_estimated_from_the_requests_text_alone(request_body, tokens):
    reader = StreamReader("openai", request_body)
    reader.feed({"id": "1", "choices": []})
    assert reader.usage(complete=False).get("input_tokens") == tokens


def test_a_deep_request_is_estimated_all_the_same():
    nested: object = "abcd"
    for _ in range(100_000):
        nested = [nested]
    reader = StreamReader("openai", {"messages": nested})
    reader.feed({"choices": []})
    assert reader.usage(complete=False)["input_tokens"] == 1


def test_sound_is_no_text():
    reader = StreamReader("openai")
    reader.feed({"type": "response.output_audio.delta", "delta": "A" * 400})
    reader.feed({"type": "response.output_audio_transcript.delta", "delta": "abcd"})
    assert reader.usage(complete=False)["output_tokens"] == 1


def test_cache_writes_that_grow_during_a_message_are_not_lost():
    usage = {
        "input_tokens": 1,
        "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 5},
        "output_tokens": 1,
    }
    reader = StreamReader("anthropic")
    reader.feed({"type": "message_start", "message": {"model": "m", "usage": usage}})
    later = {"cache_creation_input_tokens": 9, "output_tokens": 7}
    reader.feed({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": later})
    fields = reader.usage()
    assert fields["usage_source"] == "reported"
    assert (fields["cache_write_5m_tokens"], fields["output_tokens"]) == (9, 7)


def test_a_gateways_own_fields_do_not_hide_the_choices_of_a_chunk():
    reader = StreamReader("openai")
    delta = {"index": 0, "delta": {"content": "abcd"}}
    reader.feed({"choices": [delta], "metadata": {"usage": {"inputTokens": 1}}})
    assert reader.usage(complete=False) == {
        "provider": "openai",
        "usage_source": "estimated",
        "output_tokens": 1,
    }
