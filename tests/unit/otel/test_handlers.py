"""`/v1/traces` and `/v1/metrics` over HTTP, with a publisher that only keeps what it is given."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from schemas.usage import UsageEvent
from streams.otel.otlp import JSON, PROTOBUF
from streams.web.app import serving, web_app
from streams.web.doorkeeper import Doorkeeper
from streams.web.ingest import Ingest
from streams.web.otlp import otlp_routes
from streams.web.refused import busy
from streams.web.tokens import sha256
from tests.support.otlp import span, token_usage, traces
from tests.unit.otel.test_metrics import INPUT
from tests.unit.otel.test_otlp import DOCUMENT
from tests.unit.otel.test_spans import CHAT

SEARCH = {"Authorization": "Bearer of-search"}


class Kept:
    """What was published, instead of a Kafka."""

    def __init__(self) -> None:
        self.events: list[UsageEvent] = []
        self.parts: list[int] = []
        self.is_busy = False

    def check(self) -> None:
        if self.is_busy:
            raise busy("too much is under way")

    async def publish(self, events: Any) -> None:
        self.parts.append(len(events))
        self.events += [event for event, _ in events]


class Server:
    """The two routes, behind a token of the team search."""

    def __init__(self, url: str, kept: Kept, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.kept = kept
        self.session = session

    async def post(
        self, path: str, body: bytes, encoding: str | None = PROTOBUF, **headers: str
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        kind = {} if encoding is None else {"Content-Type": encoding}
        every = {**SEARCH, **kind, **{n.replace("_", "-"): v for n, v in headers.items()}}
        response = await self.session.post(
            self.url + path, data=BytesIO(body), headers=every, skip_auto_headers=["Content-Type"]
        )
        return response, await response.read()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(
        f"tokens:\n  - name: search\n    sha256: {sha256('of-search')}\n    teams: [search, ads]\n"
        "    scopes: [traces, metrics]\n"
    )
    kept = Kept()
    clock = lambda: datetime(2026, 1, 1, 0, 1, tzinfo=UTC)  # noqa: E731
    app = web_app(otlp_routes(Ingest(kept, clock)), Doorkeeper(tokens))
    async with serving(app, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        yield Server(f"http://127.0.0.1:{port}", kept, session)


async def test_spans_become_events_and_the_answer_is_empty(server):
    other = span({"http.request.method": "GET"}, number=2)
    body = traces(span(CHAT), other).SerializeToString()
    response, answer = await server.post("/v1/traces", body)
    assert (response.status, response.content_type, answer) == (200, PROTOBUF, b"")
    assert [(event.team, event.input_tokens) for event in server.kept.events] == [("search", 10)]


async def test_json_in_gzip_is_answered_in_json(server):
    packed = gzip.compress(DOCUMENT.encode())
    response, answer = await server.post("/v1/traces", packed, JSON, Content_Encoding="gzip")
    assert (response.status, response.content_type) == (200, JSON)
    said = json.loads(answer)["partialSuccess"]
    assert said == {
        "rejectedSpans": "1",
        "errorMessage": "missing_field: provider is required (span 'chat gpt-4o')",
    }


async def test_what_is_refused_is_counted_with_its_reasons_and_the_rest_accepted(server):
    foreign = CHAT | {"spendstream.team": "finance"}
    unknown = CHAT | {"gen_ai.operation.name": "dream\ndream"}
    body = traces(
        span(CHAT, number=1),
        span(foreign, number=2),
        span(foreign, number=3),
        span(unknown, number=4),
    ).SerializeToString()
    response, answer = await server.post("/v1/traces", body)
    assert response.status == 200
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert partial.rejected_spans == 3
    assert partial.error_message == (
        "forbidden_team: team: token search may not write for 'finance'; it may for search, ads "
        "(span 'chat' and 1 more); invalid_field: gen_ai.operation.name is 'dream dream', which is "
        "not known to be a billed call (span 'chat')"
    )
    assert len(server.kept.events) == 1


async def test_a_data_point_becomes_an_event_and_a_cumulative_one_a_reason(server):
    response, answer = await server.post("/v1/metrics", token_usage(INPUT, 9.0).SerializeToString())
    assert (response.status, answer) == (200, b"")
    assert [event.input_tokens for event in server.kept.events] == [9]
    cumulative = token_usage(INPUT, 9.0, cumulative=True).SerializeToString()
    _, answer = await server.post("/v1/metrics", cumulative)
    partial = ExportMetricsServiceResponse.FromString(answer).partial_success
    assert partial.rejected_data_points == 1
    assert "TEMPORALITY_PREFERENCE=delta" in partial.error_message


async def test_more_than_may_be_judged_at_once_is_taken_in_parts(server):
    body = traces(*(span(CHAT, number=n) for n in range(1, 2_101))).SerializeToString()
    response, _ = await server.post("/v1/traces", body)
    assert response.status == 200
    assert server.kept.parts == [1_000, 1_000, 100]


@pytest.mark.parametrize(
    ("body", "encoding", "headers", "status", "code"),
    [
        (b"\xff", PROTOBUF, {}, 400, 3),
        (b"{", JSON, {}, 400, 3),
        (b"no gzip", PROTOBUF, {"Content_Encoding": "gzip"}, 400, 3),
        (b"", PROTOBUF, {"Content_Encoding": "br"}, 415, 3),
        (bytes(9_000_000), PROTOBUF, {}, 413, 3),
        (gzip.compress(bytes(9_000_000), mtime=0), PROTOBUF, {"Content_Encoding": "gzip"}, 413, 3),
        (b"", "text/plain", {}, 415, 3),
        (b"", None, {}, 415, 3),
    ],
)
async def test_what_cannot_be_read_is_a_status_of_rpc(
    server, body, encoding, headers, status, code
):
    response, answer = await server.post("/v1/traces", body, encoding, **headers)
    assert response.status == status
    said = (
        Status.FromString(answer)
        if response.content_type == PROTOBUF
        else Status(**json.loads(answer))
    )
    assert said.code == code
    assert said.message
    assert server.kept.events == []


async def test_spans_with_long_prompts_are_taken_though_nobody_packed_them(server):
    spans = [span(CHAT | {"gen_ai.prompt": "x" * 10_000}, number=n) for n in range(1, 301)]
    response, _ = await server.post("/v1/traces", traces(*spans).SerializeToString())
    assert response.status == 200
    assert len(server.kept.events) == 300


async def test_while_too_much_is_under_way_it_is_to_be_sent_again(server):
    server.kept.is_busy = True
    response, answer = await server.post("/v1/traces", traces(span(CHAT)).SerializeToString())
    assert response.status == 429
    assert int(response.headers["Retry-After"]) > 0
    assert Status.FromString(answer).code == 8


async def test_without_a_token_nothing_is_taken(server):
    response, answer = await server.post("/v1/traces", b"", Authorization="Bearer other")
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert Status.FromString(answer).code == 16
