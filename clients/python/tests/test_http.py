"""Delivery by HTTP, against a real server on this machine."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import spendstream
from aiohttp import web

CALL = {"provider": "openai", "model": "gpt-4o-mini", "team": "search", "input_tokens": 12}
TOKEN = "hunter2"

Answer = Callable[[list[dict[str, Any]]], web.Response]


def taken(events: list[dict[str, Any]]) -> web.Response:
    results = [{"id": event["event_id"], "status": "accepted"} for event in events]
    return web.json_response(
        {"accepted": len(events), "duplicates": 0, "results": results}, status=202
    )


def status(code: int, **headers: str) -> Answer:
    return lambda _: web.json_response({"error": "because"}, status=code, headers=headers)


class Endpoint:
    """Takes events as the server does; ``answers`` are given first, one per request."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.always: Answer = taken
        self.requests: list[web.Request] = []
        self.arrived: list[float] = []
        self.events: list[dict[str, Any]] = []
        self.url = ""
        self.most_events = 1000
        self.sizes: list[tuple[int, int]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.arrived.append(time.monotonic())
        events = await request.json()
        self.sizes.append((len(events), request.content_length))
        if self.answers:
            answer = self.answers.pop(0)(events)
        elif len(events) > self.most_events or request.content_length > 1024 * 1024:
            answer = status(413)(events)
        else:
            answer = self.always(events)
        if answer.status == 202:
            self.events += events
        return answer

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[None]:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_post("/meter/v1/events", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/meter"
        try:
            yield
        finally:
            await runner.cleanup()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    found = Endpoint()
    async with found.running():
        yield found


async def delivered(meter: spendstream.AsyncEmitter, timeout: float = 10) -> spendstream.Stats:
    await meter.flush(timeout)
    return await meter.aclose()


async def test_events_arrive_in_order_as_json_with_the_token(endpoint):
    meter = spendstream.AsyncEmitter(f"{endpoint.url}/", token=TOKEN, strict=True)
    ids = [meter.emit(**CALL, output_tokens=n, tags={"n": "ü"}) for n in range(50)]
    stats = await delivered(meter)
    assert (stats.delivered, str(stats)) == (50, "all 50 usage events were delivered")
    assert [event["event_id"] for event in endpoint.events] == ids
    first = endpoint.events[0]
    assert first.pop("event_id")
    assert first.pop("occurred_at").endswith("Z")
    assert first == CALL | {
        "kind": "usage",
        "output_tokens": 0,
        "tags": {"n": "ü"},
        "usage_source": "reported",
    }
    assert {r.headers["Authorization"] for r in endpoint.requests} == {f"Bearer {TOKEN}"}
    assert {r.content_type for r in endpoint.requests} == {"application/json"}


async def test_what_the_server_refuses_is_counted_and_the_rest_is_delivered(endpoint, caplog):
    def refuses_odd(events):
        results = [
            {"id": e["event_id"], "status": "duplicate"}
            if e["output_tokens"] % 2 == 0
            else {"id": e["event_id"], "status": "refused", "code": "not_yours", "error": "no\nno"}
            for e in events
        ]
        return web.json_response({"accepted": 0, "duplicates": 0, "results": results}, status=207)

    endpoint.always = refuses_odd
    meter = spendstream.AsyncEmitter(endpoint.url)
    for number in range(10):
        meter.emit(**CALL, output_tokens=number)
    stats = await delivered(meter)
    assert (stats.delivered, stats.rejected, stats.dropped_undelivered) == (5, 5, 0)
    assert stats.reasons == {"not_yours": 5}
    assert str(stats) == (
        "5 of 10 usage events were not delivered (5 rejected by the server: not_yours)"
    )
    assert sum("rejected: no no" in text for text in caplog.messages) == 1


async def test_an_answer_that_refuses_all_settles_all(endpoint):
    def refuse(events):
        results = [{"id": e["event_id"], "status": "refused", "code": "no"} for e in events]
        return web.json_response({"accepted": 0, "results": results}, status=422)

    endpoint.always = refuse
    meter = spendstream.AsyncEmitter(endpoint.url)
    meter.emit(**CALL)
    assert (await delivered(meter)).rejected == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (status(401), "HTTP 401 Unauthorized: because (the token is not valid"),
        (status(403), "HTTP 403 Forbidden: because (the token is not valid"),
        (status(404), "is this the base of a spendstream server?"),
        (status(429, **{"Retry-After": "0"}), "HTTP 429"),
        (status(503), "HTTP 503"),
        (status(500), "HTTP 500"),
        (lambda _: web.Response(text="<html>", status=200), "HTTP 200"),
        (lambda _: web.Response(text="<html>", status=202), "without a result for every event"),
        (lambda _: web.json_response({"results": []}, status=207), "without a result"),
    ],
)
async def test_an_answer_that_settles_nothing_is_said_once_and_tried_again(
    endpoint, caplog, answer, says
):
    endpoint.answers = [answer, answer]
    meter = spendstream.AsyncEmitter(endpoint.url, token=TOKEN)
    meter.emit(**CALL)
    assert (await delivered(meter)).delivered == 1
    assert len(endpoint.requests) == 3
    said = [record.getMessage() for record in caplog.records if record.name == "spendstream"]
    assert len(said) == 1
    assert says in said[0]


async def test_after_the_wait_that_the_server_asks_for_requests_keep_to_the_limits(endpoint):
    endpoint.answers = [status(503, **{"Retry-After": "1"})]
    endpoint.most_events = 300
    meter = spendstream.AsyncEmitter(endpoint.url)
    ids = [meter.emit(**CALL) for _ in range(2300)]
    ids += [meter.emit(**CALL, tags={f"{n}": "x" * 1000 for n in range(200)}) for _ in range(12)]
    assert (await delivered(meter)).delivered == 2312
    assert endpoint.arrived[1] - endpoint.arrived[0] >= 1
    assert [event["event_id"] for event in endpoint.events] == ids
    assert max(count for count, _ in endpoint.sizes) == 1000
    assert 900_000 < max(size for _, size in endpoint.sizes) <= 1024 * 1024


async def test_an_event_that_no_request_can_hold_is_rejected_and_holds_up_nothing(endpoint):
    meter = spendstream.AsyncEmitter(endpoint.url)
    # As JSON, a control character has six bytes.
    meter.emit(**CALL, tags={f"{n}": "\x01" * 1000 for n in range(200)})
    meter.emit(**CALL)
    stats = await delivered(meter)
    assert (stats.delivered, stats.rejected) == (1, 1)
    assert stats.reasons == {"event_too_large": 1}


async def test_one_event_that_cannot_be_read_is_found_and_rejected(endpoint):
    def unreadable(events):
        bad = any(event.get("user") == "bad" for event in events)
        return status(400)(events) if bad else taken(events)

    endpoint.answers = [status(503)]
    endpoint.always = unreadable
    meter = spendstream.AsyncEmitter(endpoint.url)
    for number in range(40):
        meter.emit(**CALL, user="bad" if number == 17 else "good")
    stats = await delivered(meter)
    assert (stats.delivered, stats.rejected) == (39, 1)


async def test_a_server_that_comes_up_late_gets_everything_once(caplog):
    free = free_port()
    late = Endpoint()
    meter = spendstream.AsyncEmitter(f"http://127.0.0.1:{free}/meter")
    ids = [meter.emit(**CALL) for _ in range(5)]
    assert not await meter.flush(0.3)
    async with late.running(free):
        assert (await delivered(meter)).delivered == 5
    assert [event["event_id"] for event in late.events] == ids
    assert sum("trying on" in text and str(free) in text for text in caplog.messages) == 1


async def test_without_a_spool_events_are_given_up_at_their_deadline(endpoint):
    endpoint.always = status(401)
    meter = spendstream.AsyncEmitter(endpoint.url, delivery_timeout=0.2)
    meter.emit(**CALL)
    assert not await meter.flush(10)
    assert (await meter.aclose()).dropped_undelivered == 1


async def test_the_token_is_nowhere_to_be_seen(endpoint, caplog, monkeypatch):
    monkeypatch.setenv("SPENDSTREAM_TOKEN", TOKEN)
    caplog.set_level(logging.DEBUG)
    endpoint.answers = [status(401)]
    meter = spendstream.AsyncEmitter(endpoint.url)
    meter.emit(**CALL)
    await delivered(meter)
    assert endpoint.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in caplog.text + repr(meter) + str(vars(meter))
    assert "HTTP Request" not in caplog.text


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("http://", {}, "lacks a host"),
        ("https://me:secret@host", {}, "more than a host, a port and a path"),
        ("https://host/x?token=secret", {}, "more than a host, a port and a path"),
        ("https://host:port", {}, "no proper host and port"),
        ("https://host", {"token": "secret\n1"}, "token has characters"),
        ("https://host", {"topic": "t"}, "topic is for kafka://"),
        ("https://host", {"security": spendstream.Security(protocol="SSL")}, "security is for"),
        ("kafka://host", {"token": "secret"}, "token is for http:// and https://"),
    ],
)
def test_a_mistake_is_one_line_without_what_is_secret(url, options, words):
    with pytest.raises(ValueError, match=words) as refused:
        spendstream.Emitter(url, **options)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
async def test_a_script_that_ends_right_after_loses_nothing(endpoint):
    script = f"""
import spendstream

meter = spendstream.Emitter({endpoint.url!r})
meter.emit(provider="openai", model="gpt-4o-mini", team="search", input_tokens=1200)
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=30)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    assert len(endpoint.events) == 1
