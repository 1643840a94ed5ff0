"""What gateways get of the web stage: an answer, Envoy's authorization, and the lines of quotas."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from schemas.quotas import Heartbeat, Record
from streams.web import quota_feed
from streams.web.app import serving, web_app
from streams.web.authz import authz_route
from streams.web.doorkeeper import Doorkeeper
from streams.web.quota import quota_route
from streams.web.quota_feed import QuotaFeed
from tests.support.ledger_rows import JOURNAL
from tests.support.quotas import definition, stamp, state

SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
FAR = datetime(2999, 1, 1, tzinfo=UTC)


class Gateway:
    """A client, and the feed of the process that it asks."""

    def __init__(self, feed: QuotaFeed, http: aiohttp.ClientSession) -> None:
        self.feed = feed
        self.http = http

    def publish(self, *records: Record) -> None:
        for record in records:
            self.feed.table.take(record.key, record, record.as_of)

    async def ask(
        self, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, Any, aiohttp.typedefs.LooseHeaders]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(method, path, headers=names) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None, answer.headers


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async for one in serve(None):
        one.feed.table.ready = True
        yield one


async def serve(tokens: Path | None) -> AsyncIterator[Gateway]:
    feed = QuotaFeed()
    routes = [quota_route(feed.table), feed.route(), authz_route(feed.table)]
    app = web_app(routes, Doorkeeper(tokens))
    async with (
        serving(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):
        yield Gateway(feed, http)
        feed.close()


def used_up(until: datetime = SOON) -> Record:
    return state(
        "users", 100, allowed=False, valid_until=FAR, period_end=until, reason="Ann has used all."
    )


async def test_a_question_is_answered_as_a_guard_does_with_the_age_of_what_is_known(gateway):
    said = Heartbeat(as_of=stamp().model_copy(update={"at": datetime.now(UTC)}))
    gateway.publish(definition(), used_up(), said)
    status, body, headers = await gateway.ask("/v1/quota?user=ann")
    assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert (body["allowed"], body["remaining"], body["why"]) == (False, "0", "Ann has used all.")
    assert 0 <= body["age_seconds"] < 60


async def test_where_no_guard_was_ever_heard_the_age_is_not_known(gateway):
    gateway.publish(definition())
    assert (await gateway.ask("/v1/quota?user=ann"))[1]["age_seconds"] is None


@pytest.mark.parametrize("path", ["/v1/quota?user=ann", "/v1/quotas", "/v1/authz/v1/models"])
async def test_until_the_topic_was_read_nobody_is_answered(gateway, path):
    gateway.feed.table.ready = False
    status, body, headers = await gateway.ask(path)
    assert (status, body["code"], headers["Retry-After"]) == (503, "quotas_not_read", "1")


@pytest.mark.parametrize("path", ["/v1/quota?user=ann", "/v1/quotas", "/v1/authz/v1/models"])
async def test_a_token_needs_the_scope_quota(tokens_file, path):
    async for gateway in serve(tokens_file):
        assert (await gateway.ask(path))[0] == 401
        assert (await gateway.ask(path, Authorization="Bearer sps_ci"))[0] == 403
        assert (await gateway.ask(path, Authorization="Bearer sps_gate"))[0] == 503


async def test_envoy_lets_through_what_may_be_called_and_hears_the_tier_and_what_is_left(gateway):
    cheap = state("users", "90.50", degrade_to="balanced", valid_until=FAR)
    gateway.publish(definition(), cheap)
    path = "/v1/authz/v1/chat/completions?stream=true"
    status, body, headers = await gateway.ask(path, "POST", x_spendstream_user="ann")
    assert (status, body) == (200, None)
    said = {name: value for name, value in headers.items() if name.startswith("x-spendstream")}
    assert said == {
        "x-spendstream-degrade-to": "balanced",
        "x-spendstream-remaining": "9.5",
        "x-spendstream-unit": "USD",
    }
    everybody = (await gateway.ask("/v1/authz", x_spendstream_team="a"))[2]
    assert not [name for name in everybody if name.startswith("x-spendstream")]


@pytest.mark.parametrize("until", [SOON, FAR])
async def test_envoy_refuses_in_the_words_of_openai(gateway, until):
    gateway.publish(definition(), used_up(until))
    status, body, headers = await gateway.ask("/v1/authz/", "DELETE", X_Spendstream_User="ann")
    assert status == 429
    left = (until - datetime.now(UTC)).total_seconds()
    assert min(left, 3600) <= int(headers["Retry-After"]) <= min(left + 60, 3600)
    assert headers["x-should-retry"] == "false"
    assert body == {
        "error": {
            "message": "Ann has used all.",
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
            "budget": "users",
            "resets_at": until.isoformat().replace("+00:00", "Z"),
        }
    }


async def test_an_attribute_of_two_words_has_a_dash_in_its_header(gateway):
    cases = state("cases", 100, {"use_case": "摘要"}, allowed=False, valid_until=FAR)
    gateway.publish(definition("cases", each=("use_case",)), cases)
    assert (await gateway.ask("/v1/authz/x", x_spendstream_use_case="摘要"))[0] == 429
    status, body, _ = await gateway.ask("/v1/authz/x", x_spendstream_taem="a")
    assert status == 400
    assert body["error"] == "taem: a call has no such attribute; did you mean team?"


async def test_the_lines_hold_every_record_then_each_change(gateway):
    one = state()
    gateway.publish(definition(), one)
    async with gateway.http.get("/v1/quotas") as answer:
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        first = [json.loads(await answer.content.readline()) for _ in range(3)]
        assert [line.get("key") for line in first] == ["budget:users", one.key, None]
        assert first[1]["value"] == json.loads(one.model_dump_json())
        assert first[1]["as_of"] == first[1]["value"]["as_of"]
        assert first[2] == {"ready": True, "age_seconds": None}
        newer = state(used=50, as_of=stamp(8))
        gateway.publish(newer, newer)
        line = json.loads(await answer.content.readline())
        assert (line["key"], line["value"]["used"]) == (one.key, "50")
        gateway.feed.table.take(one.key, None, stamp(9))
        line = json.loads(await answer.content.readline())
        assert (line["key"], line["value"]) == (one.key, None)
        assert (line["as_of"]["journal"], line["as_of"]["position"]) == (JOURNAL, 9)
        gateway.feed.close()
        assert await answer.content.readline() == b""


async def test_a_stream_without_changes_says_that_it_lives(gateway, monkeypatch):
    monkeypatch.setattr(quota_feed, "BEAT_SECONDS", 0.02)
    async with gateway.http.get("/v1/quotas") as answer:
        lines = [json.loads(await answer.content.readline()) for _ in range(3)]
    assert [list(line) for line in lines] == [["ready", "age_seconds"]] + [
        ["heartbeat", "age_seconds"]
    ] * 2


async def test_a_reader_that_takes_nothing_is_disconnected_and_others_are_not(
    gateway, monkeypatch, caplog
):
    monkeypatch.setattr(quota_feed, "STALL_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection(
        gateway.http._base_url.host, gateway.http._base_url.port, limit=1024
    )
    writer.write(b"GET /v1/quotas HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readline()
    # More than what the two ends of a connection hold for a reader.
    many = [state("users", 1, {"user": f"{number}{'x' * 900}"}) for number in range(8000)]
    async with asyncio.timeout(30):
        async with gateway.http.get("/v1/quotas") as answer:
            await answer.content.readline()
            gateway.publish(*many)
            for _ in many:
                assert json.loads(await answer.content.readline())["value"]["used"] == "1"
        while "takes nothing" not in caplog.text:  # noqa: ASYNC110 - the server's
            await asyncio.sleep(0.01)
    writer.close()


async def test_more_readers_than_there_is_room_for_are_told_so(gateway, monkeypatch):
    monkeypatch.setattr(quota_feed, "MAX_READERS", 1)
    async with gateway.http.get("/v1/quotas") as answer:
        await answer.content.readline()
        assert (await gateway.ask("/v1/quotas"))[0] == 429
