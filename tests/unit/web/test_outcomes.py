"""`POST /v1/outcomes`: what is taken, for whom, and what is told of the rest."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from schemas.outcome import OutcomeEvent, decode_outcome
from schemas.topics import OUTCOMES
from streams.web.app import serving, web_app
from streams.web.body import MAX_EVENTS
from streams.web.doorkeeper import Doorkeeper
from streams.web.outcomes import outcome_routes
from streams.web.publisher import Publisher
from streams.web.tokens import entry
from tests.unit.web.conftest import NOW, Kept, Server


class KeptOutcomes(Kept):
    """In place of Kafka: what was appended, by key."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[tuple[str, OutcomeEvent]] = []

    async def append(self, topic: str, records: Sequence[tuple[str, bytes]]) -> None:
        assert topic == OUTCOMES
        if self.failure is not None:
            raise self.failure
        self.outcomes += [(key, decode_outcome(value)) for key, value in records]


async def serve(tokens: Path | None) -> AsyncIterator[Server]:
    kept = KeptOutcomes()
    app = web_app(outcome_routes(cast(Publisher, kept), lambda: NOW), Doorkeeper(tokens))
    async with serving(app, "127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
        yield Server(f"http://127.0.0.1:{port}", kept, http)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async for one in serve(None):
        yield one


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Server]:
    file = tmp_path / "tokens.yaml"
    file.write_text(
        f"tokens:\n{entry('judge', 'sps_judge', ['search'], ['outcomes'])}\n"
        f"{entry('ads', 'sps_ads', ['ads', 'ads-*'], ['outcomes'])}\n"
        f"{entry('ci', 'sps_ci', ['*'], ['events'])}\n"
    )
    async for one in serve(file):
        yield one


def outcome(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "outcome_id": f"o-{number}",
        "occurred_at": "2026-03-10T12:00:00Z",
        "of": f"call-{number}",
        "name": "quality",
        "value": "0.87",
    } | changes


def kept(server: Server) -> list[tuple[str, OutcomeEvent]]:
    return cast(KeptOutcomes, server.kept).outcomes


async def post(server: Server, body: Any, token: str = "") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    status, answered, _ = await server.post(body, "/v1/outcomes", headers=headers)
    return status, answered


async def test_an_outcome_and_a_list_of_them_are_taken(server: Server):
    assert await post(server, outcome(1)) == (
        202,
        {"accepted": 1, "results": [{"id": "o-1", "status": "accepted"}]},
    )
    status, _ = await post(server, [outcome(2), outcome(3, workflow="run-7")])
    assert status == 202
    assert [(key, one.outcome_id) for key, one in kept(server)] == [
        ("call-1", "o-1"),
        ("call-2", "o-2"),
        ("run-7", "o-3"),
    ]


async def test_a_list_is_judged_one_by_one(server: Server):
    late = outcome(3, occurred_at="2026-03-10T12:41:00Z")
    status, body = await post(server, [outcome(1), outcome(2, value=1), late, 7])
    assert (status, body["accepted"]) == (207, 1)
    assert [result.get("code") for result in body["results"]] == [
        None,
        "bad_value",
        "time_in_future",
        "invalid_field",
    ]
    assert len(kept(server)) == 1
    assert (await post(server, outcome(1, value="high")))[0] == 422


async def test_a_request_that_cannot_be_read_is_told(server: Server):
    for body, status in (
        (b"{", 415),
        ([], 400),
        (7, 400),
        ([outcome()] * (MAX_EVENTS + 1), 413),
    ):
        assert (await post(server, body))[0] == status
    text = json.dumps(outcome()).encode()
    status, _, _ = await server.post(text, "/v1/outcomes", headers={"Content-Type": "text/plain"})
    assert status == 415
    assert kept(server) == []


async def test_a_token_judges_for_its_own_teams_only(guarded: Server):
    assert (await post(guarded, outcome(1), "sps_judge"))[0] == 202
    assert kept(guarded)[0][1].team == "search"  # a token of one team sets it
    for token, team in (("sps_judge", "ads"), ("sps_ads", "search"), ("sps_ads", None)):
        status, body = await post(guarded, outcome(2, team=team), token)
        assert (status, body["results"][0]["code"]) == (422, "forbidden_team")
    assert (await post(guarded, outcome(3, team="ads-eu"), "sps_ads"))[0] == 202
    assert (await post(guarded, outcome(4), "sps_ci"))[0] == 403
    assert (await post(guarded, outcome(5)))[0] == 401
    assert len(kept(guarded)) == 2


async def test_the_openapi_document_has_it(server: Server):
    async with server.http.get(f"{server.url}/v1/openapi.json") as answer:
        document = await answer.json()
    assert "post" in document["paths"]["/v1/outcomes"]
    assert "of" in document["components"]["schemas"]["OutcomeEvent"]["properties"]
