"""What a request says, without a client: whether it is a call, who bills, which prompt."""

from __future__ import annotations

import json

import httpx2
import pytest
import spendstream
from spendstream._instrument_calls import (
    asking_for_usage,
    is_call,
    prompt_hash,
    provider_of_host,
    read_call,
)
from spendstream.usage import provider_name


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/v1/chat/completions", True),
        ("/openai/v1/chat/completions/", True),
        ("/openai/deployments/gpt/chat/completions", True),
        ("/v1/responses", True),
        ("/v1/embeddings", True),
        ("/v1/images/generations", True),
        ("/v1/messages", True),
        ("/anthropic/v1/messages", True),
        ("/v1/messages/count_tokens", False),
        ("/v1/messages/batches", False),
        ("/v1/threads/t1/messages", False),
        ("/v1/responses/resp_1/cancel", False),
        ("/v1/chat/completions/chatcmpl-1", False),
        ("/v1/models", False),
        ("/v1/files", False),
        ("/v1/audio/speech", False),
        ("/v1/moderations", False),
    ],
)
def test_only_what_a_token_is_billed_for_is_a_call(path, call):
    assert is_call("POST", path) is call
    assert not is_call("GET", path)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("mine.openai.azure.com", "azure.ai.openai"),
        ("mine.services.ai.azure.com", "azure.ai.inference"),
        ("api.anthropic.com", "anthropic"),
        ("API.DeepSeek.com", "deepseek"),
        ("api.x.ai", "x_ai"),
        ("api.groq.com", "groq"),
        ("api.mistral.ai", "mistral_ai"),
        ("openrouter.ai", "openrouter"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "aws.bedrock"),
        ("not-openrouter.ai", None),
        ("api.openai.com.example.org", None),
        ("localhost", None),
    ],
)
def test_the_host_tells_who_bills(host, provider):
    assert provider_of_host(host) == provider
    assert provider is None or provider_name(provider) == provider


def test_a_prompts_hash_knows_repeats_and_nothing_else():
    asked = {"messages": [{"role": "user", "content": "hello \u00e9 \ud800"}], "system": "be brief"}
    turned = {
        "system": "be brief",
        "messages": [{"content": "hello \u00e9 \ud800", "role": "user"}],
    }
    known = prompt_hash(asked)
    assert known == "c00d2f865f86f401542d71d98f5553fb"
    assert prompt_hash(turned | {"model": "m", "temperature": 0.5}) == known
    assert prompt_hash(asked | {"system": "be long"}) != known
    assert prompt_hash({"input": "go on", "previous_response_id": "a"}) != prompt_hash(
        {"input": "go on", "previous_response_id": "b"}
    )
    assert prompt_hash({"model": "m"}) is None


def test_usage_is_asked_for_in_streamed_chats_that_do_not_say():
    def asked(path="/v1/chat/completions", **request):
        body = asking_for_usage(read_call("openai", path, json.dumps(request).encode()), path)
        return None if body is None else json.loads(body)

    assert asked(stream=True, n=1) == {
        "stream": True,
        "n": 1,
        "stream_options": {"include_usage": True},
    }
    assert asked(stream=True, stream_options={"include_usage": False}) is None
    assert asked(stream=True, stream_options="?") is None
    assert asked(stream=False) is None
    assert asked("/v1/responses", stream=True) is None


class Client:
    """What instrument needs of an official client."""

    def __init__(self, answer):
        self._client = httpx2.Client(transport=httpx2.MockTransport(answer))

    def ask(self, url="http://gateway.test/v1/chat/completions"):
        return self._client.post(url, json={"model": "m", "messages": []})


class Recorder(list):
    def emit(self, **fields):
        self.append(fields)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", "ok"), (b"[1]", "ok"), (b"\xff{", "ok"), (b'{"usage": {"prompt_tokens": -4}}', "ok")],
)
def test_a_body_that_says_nothing_is_an_event_without_usage(body, status):
    meter = Recorder()
    client = spendstream.instrument(
        Client(lambda request: httpx2.Response(200, content=body)), meter
    )
    assert client.ask().content == body
    assert [(e["status"], e["usage_source"], e["model"]) for e in meter] == [
        (status, "missing", "m")
    ]


def test_an_unknown_host_is_its_own_provider_and_said_once(caplog):
    meter = Recorder()
    client = spendstream.instrument(Client(lambda request: httpx2.Response(500)), meter)
    client.ask()
    client.ask()
    assert [event["provider"] for event in meter] == ["gateway.test"] * 2
    assert caplog.text.count("who bills for calls to gateway.test is not known") == 1


def test_a_redirect_is_followed_and_metered_once():
    def answer(request):
        if request.url.path == "/v1/chat/completions":
            return httpx2.Response(307, headers={"location": "/b/v1/chat/completions"})
        return httpx2.Response(200, json={"usage": {"prompt_tokens": 1, "completion_tokens": 1}})

    meter = Recorder()
    client = spendstream.instrument(Client(answer), meter)
    client._client.follow_redirects = True
    client.ask()
    assert [event["input_tokens"] for event in meter] == [1]


def test_a_sentence_instead_of_a_code_stays_out_of_the_event():
    meter = Recorder()
    answer = httpx2.Response(401, json={"error": "Incorrect key: abc"})
    spendstream.instrument(Client(lambda request: answer), meter).ask()
    assert meter[0]["error_code"] == "401"


def test_a_fault_of_ours_leaves_the_call_alone_and_is_logged(monkeypatch, caplog):
    def broken(*args):
        raise RuntimeError("ours")

    meter = Recorder()
    ok = httpx2.Response(200, json={"usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    client = spendstream.instrument(Client(lambda request: ok), meter)
    monkeypatch.setattr("spendstream._instrument_answer.read_usage", broken)
    assert client.ask() is not None
    assert [event["usage_source"] for event in meter] == ["missing"]
    monkeypatch.setattr("spendstream._instrument.read_call", broken)
    assert client.ask().status_code == 200
    assert len(meter) == 1
    assert caplog.text.count("could not be metered (usage)") == 1


def test_what_is_no_client_is_one_clear_error():
    with pytest.raises(TypeError, match="instrument: object is no client of the openai or the"):
        spendstream.instrument(object(), Recorder())
    with pytest.raises(ValueError, match="attribution: 'tema' is none of"):
        spendstream.instrument(Client(lambda request: httpx2.Response(200)), Recorder(), tema="x")
    bedrock = type("AsyncAnthropicBedrock", (Client,), {})(lambda request: httpx2.Response(200))
    with pytest.raises(TypeError, match="AsyncAnthropicBedrock is not metered yet"):
        spendstream.instrument(bedrock, Recorder())
