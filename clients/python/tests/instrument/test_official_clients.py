"""The official clients against a server that fails, times out and streams."""

from __future__ import annotations

import asyncio
import logging

import anthropic
import openai
import pytest
import spendstream
from official_clients import (
    KINDS,
    MESSAGES,
    OPENAI_EVENTS,
    OPENAI_OK,
    Kind,
    Recorder,
)
from scripted_api import ScriptedApi, dropped, scripted_api, silent, streamed, whole

pytestmark = pytest.mark.slow
each_client = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
NOW = {"retry_after_ms": "1"}


@pytest.fixture(scope="module")
def server():
    with scripted_api() as api:
        yield api


@pytest.fixture
def api(server: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> ScriptedApi:
    for sdk in (openai, anthropic):
        monkeypatch.setattr(sdk._base_client, "INITIAL_RETRY_DELAY", 0.01)
    server.script, server.requests, server.headers = [], [], []
    return server


@pytest.fixture
def meter() -> Recorder:
    return Recorder()


@pytest.fixture
def metered(api: ScriptedApi, meter: Recorder):
    """Makes metered clients, and closes them; an asynchronous one closes itself after its call."""
    made = []

    def make(kind: Kind, **options):
        settings = {"provider": kind.provider} | options.pop("settings", {})
        client = kind.client(api.url, **options)
        if not kind.asynchronous:
            made.append(client)
        return spendstream.instrument(client, meter, **settings)

    yield make
    for client in made:
        client.close()


@each_client
def test_a_whole_answer_is_one_event(kind: Kind, api, meter, metered):
    api.script = [whole(kind.ok)]
    assert kind.ask(metered(kind, settings={"team": "search"})) == "abcdefgh"
    assert meter.told() == [{**kind.counted, "team": "search"}]


def test_what_stays_of_a_prompt_is_told_with_its_share_of_the_tokens(api, meter, metered):
    kind = next(one for one in KINDS if "openai" in one.name and not one.asynchronous)
    client = metered(kind)
    api.script = [whole(kind.ok)] * 2
    system = {"role": "system", "content": "y" * 40}
    for question in ("x" * 40, "z" * 40):
        messages = [system, {"role": "user", "content": question}]
        client.chat.completions.create(model="m", messages=messages)
    first, second = meter.events
    assert first["prompt_hash"] != second["prompt_hash"]
    assert first["prefix_hash"] == second["prefix_hash"]
    # 71 of 140 characters of canonical JSON, of 12 tokens.
    assert first["prefix_tokens"] == second["prefix_tokens"] == 6


@each_client
def test_each_attempt_is_an_event_that_names_the_one_before(kind: Kind, api, meter, metered):
    api.script = [
        whole(kind.failure, 503, x_request_id="req-1", **NOW),
        whole(b"<html>", 429, kind="text/html", **NOW),
        whole(kind.ok),
    ]
    assert kind.ask(metered(kind)) == "abcdefgh"
    failed = kind.asked | {"status": "error", "error_code": "overloaded", "request_id": "req-1"}
    limited = kind.asked | {"status": "rate_limited", "error_code": "429"}
    assert meter.told() == [
        failed | {"attempt": 1},
        limited | {"attempt": 2, "retry_of": 0},
        kind.counted | {"attempt": 3, "retry_of": 1},
    ]


@each_client
def test_a_dropped_connection_and_a_timeout_are_attempts_too(kind: Kind, api, meter, metered):
    api.script = [dropped, silent, whole(kind.ok)]
    assert kind.ask(metered(kind, timeout=0.3)) == "abcdefgh"
    hung_up = {"status": "error", "error_code": "RemoteProtocolError", "attempt": 1}
    late = {"status": "timeout", "error_code": "ReadTimeout", "attempt": 2, "retry_of": 0}
    assert meter.told() == [
        kind.asked | hung_up,
        kind.asked | late,
        kind.counted | {"attempt": 3, "retry_of": 1},
    ]


@each_client
def test_an_error_for_good_is_raised_and_metered_with_its_code(kind: Kind, api, meter, metered):
    api.script = [whole(kind.failure, 400), whole(kind.failure, 400)]
    assert kind.ask(metered(kind)) == "BadRequestError"
    assert kind.ask(metered(kind), stream=True) == "BadRequestError"
    event = {"status": "error", "error_code": "overloaded", "attempt": 1}
    assert meter.told() == [kind.asked | event, kind.asked | event]


@each_client
def test_a_whole_stream_is_one_event_with_the_reported_usage(kind: Kind, api, meter, metered):
    api.script = [streamed(kind.events)]
    assert kind.ask(metered(kind), stream=True) == "abcdefgh"
    assert meter.told() == [kind.counted]


@each_client
def test_a_stream_that_breaks_off_is_estimated(kind: Kind, api, meter, metered):
    api.script = [streamed(kind.events[:3], then="breaks")]
    assert kind.ask(metered(kind), stream=True).startswith("abcdefgh")
    broken = {"status": "error", "error_code": "RemoteProtocolError"}
    assert meter.told() == [kind.partly | broken]


@each_client
def test_a_stream_that_stalls_is_a_timeout(kind: Kind, api, meter, metered):
    api.script = [streamed(kind.events[:3], then="waits")]
    text = kind.ask(metered(kind, timeout=0.3), stream=True)
    assert text.startswith("abcdefgh")
    assert text.endswith(("Timeout", "TimeoutError"))
    assert meter.told() == [kind.partly | {"status": "timeout", "error_code": "ReadTimeout"}]


@each_client
def test_a_stream_that_stops_without_its_end_is_no_success(kind: Kind, api, meter, metered):
    api.script = [streamed(kind.events[:3])]
    assert kind.ask(metered(kind), stream=True) == "abcdefgh"
    assert meter.told() == [kind.partly | {"status": "error", "error_code": "incomplete_stream"}]


@each_client
def test_a_stream_that_the_caller_closes_is_cancelled(kind: Kind, api, meter, metered):
    api.script = [streamed(kind.events[:3], then="waits")]
    assert kind.ask(metered(kind), stream=True, take=kind.items) == "abcdefgh"
    assert meter.told() == [kind.partly | {"status": "cancelled"}]


@pytest.mark.parametrize(
    ("kind", "items"), [(KINDS[0], 4), (KINDS[2], 6)], ids=["openai", "anthropic"]
)
def test_a_stream_that_is_closed_after_the_whole_answer_is_no_cancellation(
    kind: Kind, items, api, meter, metered
):
    api.script = [streamed(kind.events[:4], then="waits")]
    assert kind.ask(metered(kind), stream=True, take=items) == "abcdefgh"
    assert [event["status"] for event in meter.events] == ["ok"]


@pytest.mark.parametrize("kind", [KINDS[1], KINDS[3]], ids=["openai", "anthropic"])
async def test_a_cancelled_task_is_a_cancelled_attempt(kind: Kind, api, meter, metered):
    api.script = [silent, streamed(kind.events[:3], then="waits")]
    client = metered(kind)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await kind.create(client)

    async def read() -> None:
        async for _ in await kind.create(client, stream=True):
            pass

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await read()
    await client.close()
    assert meter.told() == [
        kind.asked | {"status": "cancelled", "attempt": 1},
        kind.partly | {"status": "cancelled"},
    ]


async def test_attempts_of_calls_at_the_same_time_are_not_mixed_up(api, meter, metered):
    client = metered(KINDS[1])
    api.script = [whole(OPENAI_OK, 503, **NOW)] * 3 + [whole(OPENAI_OK)] * 3
    calls = (
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": f"{n}"}])
        for n in range(3)
    )
    await asyncio.gather(*calls, return_exceptions=True)
    await client.close()
    by_id = {event["event_id"]: event for event in meter.events}
    retries = [event for event in meter.events if event["attempt"] > 1]
    assert len(retries) == 3
    for event in retries:
        before = by_id[event["retry_of"]]
        assert before["attempt"] == event["attempt"] - 1
        assert before["prompt_hash"] == event["prompt_hash"]


def test_raw_and_streaming_access_are_metered_and_get_what_the_server_sent(api, meter, metered):
    kind = KINDS[0]
    client = metered(kind)
    api.script = [whole(OPENAI_OK, zipped=True), whole(OPENAI_OK, zipped=True), whole(OPENAI_OK)]
    ask = {"model": "m", "messages": MESSAGES}
    raw = client.chat.completions.with_raw_response.create(**ask)
    assert raw.parse().usage.total_tokens == 15
    assert raw.elapsed.total_seconds() > 0
    with client.chat.completions.with_streaming_response.create(**ask) as response:
        assert meter.told() == [kind.counted]
        assert b"abcdefgh" in b"".join(response.iter_bytes())
    with client.chat.completions.with_streaming_response.create(**ask):
        pass
    unread = kind.asked | {"status": "cancelled", "attempt": 1}
    assert meter.told() == [kind.counted, kind.counted, unread]


def test_what_is_no_call_of_a_model_makes_no_event(api, meter, metered):
    client = metered(KINDS[0])
    api.script = [
        whole(b"RIFF", kind="audio/wav"),
        whole({"text": "hello", "usage": {"type": "duration", "seconds": 2}}),
        whole({"text": "hello", "usage": {"input_tokens": 4, "output_tokens": 1}}),
    ]
    assert client.models.list().data == []
    assert client.audio.speech.create(model="t", voice="v", input="hi").content == b"RIFF"
    for _ in range(2):
        client.audio.transcriptions.create(model="t", file=("a.wav", b"RIFF"))
    assert [(e["model"], e["input_tokens"], e["output_tokens"]) for e in meter.events] == [
        ("unknown", 4, 1)
    ]


def test_embeddings_and_responses_are_metered(api, meter, metered):
    client = metered(KINDS[0])
    api.script = [
        whole({"object": "list", "model": "e", "data": [], "usage": {"prompt_tokens": 7}}),
        whole(
            {
                **{"id": "resp_1", "object": "response", "model": "r", "status": "completed"},
                **{"output": [], "usage": {"input_tokens": 8, "output_tokens": 2}},
            }
        ),
    ]
    client.embeddings.create(model="e", input="text", encoding_format="float")
    client.responses.create(model="r", input="text")
    assert [(e["model"], e["status"], e["input_tokens"]) for e in meter.events] == [
        ("e", "ok", 7),
        ("r", "ok", 8),
    ]
    assert meter.events[0]["prompt_hash"] == meter.events[1]["prompt_hash"]


def test_usage_is_asked_for_where_the_caller_did_not_only_with_the_option(api, meter, metered):
    without = OPENAI_EVENTS[:4] + OPENAI_EVENTS[5:]
    client, kind = metered(KINDS[0]), KINDS[0]
    api.script = [streamed(without), streamed(OPENAI_EVENTS), streamed(without)]
    kind.ask(client, stream=True)
    spendstream.instrument(client, meter, provider="openai", include_usage=True)
    kind.ask(client, stream=True)
    options = {"include_usage": False}
    list(
        client.chat.completions.create(
            model="m", messages=MESSAGES, stream=True, stream_options=options
        )
    )
    asked = [request.get("stream_options") for request in api.requests]
    assert asked == [None, {"include_usage": True}, {"include_usage": False}]
    sources = [(event["usage_source"], event["status"]) for event in meter.events]
    assert sources == [("estimated", "ok"), ("reported", "ok"), ("estimated", "ok")]


def test_copies_are_metered_once_and_uninstrument_ends_it(api, meter, metered):
    client, kind = metered(KINDS[0]), KINDS[0]
    other = Recorder()
    assert spendstream.instrument(client.with_options(timeout=9), other, provider="groq")
    api.script = [whole(OPENAI_OK)] * 3
    kind.ask(client)
    kind.ask(client.copy(max_retries=0))
    assert (len(meter.events), len(other.events)) == (0, 2)
    assert spendstream.uninstrument(client) is client
    assert kind.ask(client) == "abcdefgh"
    assert len(other.events) == 2


def test_the_attribution_around_a_call_wins_and_holds_for_its_stream(api, meter, metered):
    client = metered(KINDS[0], settings={"team": "search", "tags": {"a": "1", "b": "1"}})
    api.script = [streamed(OPENAI_EVENTS)]
    with spendstream.attribution(workflow="run-7", team="ads", tags={"b": "2"}):
        stream = KINDS[0].create(client, stream=True)
    with spendstream.attribution(team="other"):
        list(stream)
    (event,) = meter.events
    assert (event["team"], event["workflow"]) == ("ads", "run-7")
    assert event["tags"] == {"a": "1", "b": "2"}


def test_azure_is_told_by_its_client_where_the_host_is_a_gateway(api, meter):
    api.script = [whole(OPENAI_OK)]
    with openai.AzureOpenAI(
        api_key="key", api_version="2026-01-01", base_url=f"{api.url}/openai"
    ) as client:
        KINDS[0].ask(spendstream.instrument(client, meter))
    assert meter.events[0]["provider"] == "azure.ai.openai"


def test_a_meter_that_fails_does_not_break_the_call(api, metered, caplog):
    class Failing:
        def emit(self, **fields):
            raise RuntimeError("no")

    kind = KINDS[0]
    client = spendstream.instrument(metered(kind), Failing())
    api.script = [whole(OPENAI_OK), streamed(OPENAI_EVENTS)]
    assert kind.ask(client) == kind.ask(client, stream=True) == "abcdefgh"
    said = [r for r in caplog.records if r.name == "spendstream" and r.levelno == logging.ERROR]
    assert len(said) == 1
    assert "could not be metered" in said[0].message


def test_events_of_both_clients_are_valid_for_the_real_emitter(api, absent_broker):
    meter = spendstream.Emitter(absent_broker.url, strict=True)
    api.script = [whole(OPENAI_OK), streamed(KINDS[2].events[:3], "breaks"), dropped]
    for kind in (KINDS[0], KINDS[2], KINDS[0]):
        client = spendstream.instrument(kind.client(api.url, max_retries=0), meter, team="search")
        kind.ask(client, stream=kind is KINDS[2])
        client.close()
    assert (meter.stats.emitted, meter.stats.refused) == (3, 0)
    meter.close(timeout=0)


@each_client
def test_retrying_replaces_the_clients_own_retries_and_each_attempt_is_metered(
    kind: Kind, api, meter, metered
):
    client = spendstream.retrying(metered(kind), max_retries=2, base=0.001)
    api.script = [whole(kind.failure, 503), dropped, whole(kind.ok)]
    assert kind.ask(client) == "abcdefgh"
    failed = {"status": "error", "error_code": "overloaded", "attempt": 1}
    hung_up = {"status": "error", "error_code": "RemoteProtocolError"}
    assert meter.told() == [
        kind.asked | failed,
        kind.asked | hung_up | {"attempt": 2, "retry_of": 0},
        kind.counted | {"attempt": 3, "retry_of": 1},
    ]
    assert [h["x-stainless-retry-count"] for h in api.headers] == ["0", "1", "2"]


@each_client
def test_a_spent_budget_gives_the_last_error_to_the_caller_at_once(kind: Kind, api, meter):
    budget = spendstream.RetryBudget(ratio=0, min_per_second=0.1)
    client = spendstream.retrying(kind.client(api.url), max_retries=9, budget=budget, base=0.001)
    spendstream.instrument(client, meter, provider=kind.provider)
    api.script = [whole(kind.failure, 503), whole(kind.failure, 503)]
    said = kind.ask(client)
    assert said in ("InternalServerError", "ServiceUnavailableError", "OverloadedError")
    assert [event["attempt"] for event in meter.events] == [1, 2]
    if not kind.asynchronous:
        client.close()
