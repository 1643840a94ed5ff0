"""`POST /v1/events`: what is read, what is answered, and that what is refused goes nowhere."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from schemas.wire import MAX_EVENT_BYTES
from streams.web import app, body
from streams.web.body import MAX_BODY, MAX_EVENTS, MAX_UNPACKED
from streams.web.refused import RequestRefused
from tests.support.events import call
from tests.unit.web.conftest import Server

CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}
CLOUDEVENTS = {"Content-Type": "application/cloudevents-batch+json"}
JSON = {"Content-Type": "application/json"}


def as_bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def enveloped(event: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    data = {k: v for k, v in event.items() if k not in ("event_id", "occurred_at")}
    return {
        "specversion": "1.0",
        "id": event["event_id"],
        "time": event["occurred_at"],
        "source": "/gateway",
        "type": "spendstream.usage",
        "data": data,
        **attributes,
    }


async def test_one_event_is_accepted_and_is_what_was_sent(server: Server):
    status, body, _ = await server.post(call("1", "search", 12))
    assert (status, body) == (
        202,
        {"accepted": 1, "results": [{"id": "1", "status": "accepted"}]},
    )
    (event,) = server.kept.events
    assert (event.event_id, event.team, event.input_tokens) == ("1", "search", 12)


async def test_the_ways_to_send_an_event_come_to_the_same_record(server: Server):
    event = call("1", "search", 12, model="größer", tags={"a": "b"})
    cloud = enveloped(event)
    binary = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-time": event["occurred_at"],
        "ce-source": "/gateway",
        "ce-type": "com.example.%C3%BC",
    }
    for sent, headers in (
        (as_bytes(event), JSON),
        (as_bytes([event]), {"Content-Type": "application/json; charset=utf-8"}),
        (as_bytes(cloud), JSON),
        (as_bytes([cloud]), JSON),
        (as_bytes(cloud), CLOUDEVENT),
        (as_bytes([cloud]), CLOUDEVENTS),
        (as_bytes(enveloped(event, type="com.example.call")), CLOUDEVENT),
        (as_bytes(cloud["data"]), JSON | binary),
        (gzip.compress(as_bytes(event)), JSON | {"Content-Encoding": "gzip"}),
        (gzip.compress(b"[") + gzip.compress(as_bytes(event) + b"]"),
         JSON | {"Content-Encoding": "GZIP"}),
    ):  # fmt: skip
        status, body, _ = await server.post(sent, headers=headers)
        assert status == 202, body
    assert len(server.kept.events) == 10
    assert set(map(repr, server.kept.events)) == {repr(server.kept.events[0])}


async def test_a_binary_cloudevent_needs_no_content_type(server: Server):
    # The CloudEvents SDK sends none where the event does not say what its data are.
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "x", "ce-type": "y"}
    body = as_bytes(call("1", "search", 1))
    async with server.http.post(
        f"{server.url}/v1/events", data=body, headers=headers, skip_auto_headers=["Content-Type"]
    ) as answer:
        assert answer.status == 202


async def test_good_events_are_taken_and_bad_ones_refused_each_with_its_reason(server: Server):
    status, body, _ = await server.post(
        [
            call("1", "search", 1),
            call("2", "search", -1),
            {**call("3", "search", 1), "prompt": "hello"},
            call("4", "search", 1, occurred_at="2026-03-10T12:40:01Z"),
            call("5", "search", 1, occurred_at="2026-03-10T12:40:00Z"),
            "no event",
            enveloped(call("7", "search", 1), data=[]),
            enveloped(call("8", "search", 1), specversion="0.3"),
            call("9", "\ud800", 1),
            call("10", "search", 1, tags={f"{n}{'x' * 900}": "y" * 900 for n in range(150)}),
        ]
    )
    assert (status, body["accepted"]) == (207, 2)
    assert [(result["id"], result.get("code")) for result in body["results"]] == [
        ("1", None),
        ("2", "negative_tokens"),
        ("3", "unknown_field"),
        ("4", "time_in_future"),
        ("5", None),
        (None, "undecodable_json"),
        (None, "bad_cloudevent"),
        (None, "bad_cloudevent"),
        ("9", "invalid_field"),
        ("10", "event_too_large"),
    ]
    assert all("\n" not in result.get("error", "") for result in body["results"])
    assert [event.event_id for event in server.kept.events] == ["1", "5"]


async def test_a_request_of_which_nothing_is_good_is_not_accepted(server: Server):
    status, body, _ = await server.post(call("1", "search", -1))
    assert (status, body["accepted"], body["results"][0]["status"]) == (422, 0, "refused")
    assert server.kept.events == []


async def test_events_without_an_id_get_one_of_the_key_which_a_repeat_gives_again(server: Server):
    bare = call("", "search", 1)
    del bare["event_id"]
    for _ in range(2):
        status, body, _ = await server.post(
            [bare, call("own", "search", 1), {**bare, "event_id": None}],
            headers={"Idempotency-Key": "batch-7"},
        )
        assert status == 202, body
        assert [each["id"] for each in body["results"]] == ["batch-7-0", "own", "batch-7-2"]
    status, body, _ = await server.post(bare)
    assert (status, body["results"][0]["code"]) == (422, "missing_field")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "unreadable_body"),
        (b"", JSON, 400, "unreadable_body"),
        (b"[]", JSON, 400, "unreadable_body"),
        (b"7", JSON, 400, "unreadable_body"),
        (b"\xff", JSON, 400, "unreadable_body"),
        (b"[" * 100_000, JSON, 400, "unreadable_body"),
        (b'{"a": 1, "a": 2}', JSON, 400, "unreadable_body"),
        (b"{}", CLOUDEVENTS, 400, "unreadable_body"),
        (b"[{}]", CLOUDEVENT, 400, "unreadable_body"),
        (b"{}", JSON | {"Content-Encoding": "gzip"}, 400, "unreadable_body"),
        (
            gzip.compress(b"{}", mtime=0)[:-9],
            JSON | {"Content-Encoding": "gzip"},
            400,
            "unreadable_body",
        ),
        (b"{}", JSON | {"Content-Encoding": "br"}, 415, "unsupported_encoding"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "nonsense"}, 415, "unsupported_media_type"),
        (b" " * (MAX_BODY + 1), JSON, 413, "body_too_large"),
        (
            gzip.compress(b" " * (MAX_UNPACKED + 1), mtime=0),
            JSON | {"Content-Encoding": "gzip"},
            413,
            "body_too_large",
        ),
        (b"[" + b",".join([b"{}"] * (MAX_EVENTS + 1)) + b"]", JSON, 413, "too_many_events"),
    ],
)
async def test_what_cannot_be_read_is_refused_as_a_whole(
    server: Server, body: bytes, headers: dict[str, str], status: int, code: str
):
    answered, document, _ = await server.post(body, headers=headers)
    assert (answered, document["code"]) == (status, code), document
    assert set(document) == {"error", "code"}
    assert "\n" not in document["error"]
    assert server.kept.events == []


async def test_a_body_that_does_not_say_its_length_is_bounded_too(server: Server):
    async def endless():
        for _ in range(MAX_BODY // 65_536 + 1):
            yield b" " * 65_536

    async with server.http.post(f"{server.url}/v1/events", data=endless(), headers=JSON) as answer:
        assert answer.status == 413


async def test_the_largest_event_that_the_meter_takes_is_taken(server: Server):
    tags = {f"{n:03}": "y" * 1000 for n in range(256)}
    status, body, _ = await server.post(call("1", "search", 1, tags=tags))
    assert status == 202, body
    tags |= {"x" * 1000: "y" * 1000, "z" * 1000: "y" * 1000, "w" * 1000: "y" * 1000}
    status, body, _ = await server.post(call("1", "search", 1, tags=tags))
    assert (status, body["results"][0]["code"]) == (422, "event_too_large")
    assert f"{MAX_EVENT_BYTES:,}" in body["results"][0]["error"]


@pytest.mark.parametrize("status", [429, 503])
async def test_who_is_told_to_come_again_is_told_when(server: Server, status: int):
    server.kept.failure = RequestRefused(status, "busy", "so much", {"Retry-After": "1"})
    answered, body, headers = await server.post(call("1", "search", 1))
    assert (answered, headers["Retry-After"]) == (status, "1")
    assert body == {"error": "so much", "code": "busy"}


async def test_openmeters_path_answers_as_openmeter_where_all_is_well(server: Server):
    event = enveloped(call("1", "search", 1))
    path = "/api/v1/events"
    assert (await server.post(event, path))[:2] == (204, None)
    status, body, _ = await server.post([event, call("2", "search", -1)], path)
    assert (status, body["results"][1]["code"]) == (207, "negative_tokens")


async def test_other_paths_and_methods_say_what_is_here(server: Server):
    async with server.http.get(f"{server.url}/nowhere") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "not_found")
    async with server.http.get(f"{server.url}/v1/events") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert (await answer.json())["code"] == "method_not_allowed"
    async with server.http.get(f"{server.url}/") as answer:
        assert "POST /v1/events" in (await answer.json())["routes"]


async def test_a_fault_of_ours_is_told_without_its_details(
    server: Server, caplog: pytest.LogCaptureFixture
):
    server.kept.failure = ValueError("secret detail")  # type: ignore[assignment]
    status, body, _ = await server.post(call("1", "search", 1))
    assert (status, body["code"]) == (500, "bug")
    assert "secret" not in body["error"]
    assert "secret detail" in caplog.text


async def test_more_requests_than_fit_in_are_told_to_come_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(app, "MAX_REQUESTS", 1)
    server.kept.held = asyncio.Event()
    first = asyncio.create_task(server.post(call("1", "search", 1)))
    while (answer := await server.post([]))[0] != 429:
        assert answer[0] == 400, "the first one is not in yet"
    assert (answer[1]["code"], answer[2]["Retry-After"]) == ("busy", "1")
    server.kept.held.set()
    assert (await first)[0] == 202


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(body, "BODY_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 9\r\n\r\n{"
    )
    assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
