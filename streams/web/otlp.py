"""OTLP over HTTP: `POST /v1/traces` and `POST /v1/metrics`, answered as OTLP demands it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from aiohttp import web
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from streams.otel import otlp
from streams.otel.metrics import map_metrics
from streams.otel.spans import Usage, map_spans
from streams.web.body import MAX_EVENTS, MAX_UNPACKED, read_body
from streams.web.ingest import Ingest, Result
from streams.web.openapi import REFUSALS
from streams.web.refused import RequestRefused, busy
from streams.web.route import Handler, Route
from streams.web.tokens import Token

log = logging.getLogger(__name__)

MAX_REQUESTS = 16
"""At once. Spans may hold prompts, and exporters do not pack by themselves, so that a body may have
as many bytes as any may unpacked; more than so many of them are not to be in memory."""
MAX_REASONS = 5
"""Different ones in an answer: an exporter logs the text each time, and nobody reads a page."""
SAY_SECONDS = 60.0
"""Between lines of the log about what a token's requests were refused. Some SDKs say nothing."""

RPC_CODES = {400: 3, 401: 16, 403: 7, 408: 4, 413: 3, 415: 3, 429: 8, 503: 14}
"""HTTP status → google.rpc.Code."""
UNKNOWN = 2

Request = TypeVar("Request", ExportTraceServiceRequest, ExportMetricsServiceRequest)


def otlp_routes(ingest: Ingest) -> list[Route]:
    """Both signals. A metric other than token usage, and a span of no model call, is ignored."""
    traces = _handler(ingest, ExportTraceServiceRequest, map_spans, otlp.traces_answer)
    metrics = _handler(ingest, ExportMetricsServiceRequest, map_metrics, otlp.metrics_answer)
    of_traces, of_metrics = _operation("traces", "spans"), _operation("metrics", "data points")
    return [
        Route("POST", "/v1/traces", traces, "traces", of_traces, worded=_as_status),
        Route("POST", "/v1/metrics", metrics, "metrics", of_metrics, worded=_as_status),
    ]


def _handler(
    ingest: Ingest,
    kind: type[Request],
    mapped: Callable[[Request], list[Usage]],
    answer: Callable[[int, str], Message],
) -> Handler:
    places = asyncio.Semaphore(MAX_REQUESTS)
    said: dict[str, float] = {}

    async def usages(request: web.Request, encoding: str) -> list[Usage]:
        if places.locked():
            raise busy(f"{MAX_REQUESTS} OTLP requests are being read already")
        async with places:
            body = await read_body(request, MAX_UNPACKED)
            # In a thread: thousands of spans are a second of work, for which nobody else waits.
            return await asyncio.to_thread(lambda: mapped(otlp.read(kind, body, encoding)))

    async def handle(request: web.Request, token: Token) -> web.Response:
        encoding = _encoding(request)
        if encoding not in otlp.ENCODINGS:
            raise _unsupported(encoding)
        try:
            found = await usages(request, encoding)
        except otlp.Unreadable as error:
            raise RequestRefused(400, "unreadable_body", str(error)) from None
        results = await _ingested(ingest, found, token)
        rejected, why = _rejected(found, results)
        if rejected and time.monotonic() - said.get(token.name, -SAY_SECONDS) >= SAY_SECONDS:
            said[token.name] = time.monotonic()
            log.warning("%s, token %s: %d refused: %s", request.path, token.name, rejected, why)
        return web.Response(
            body=otlp.written(answer(rejected, why), encoding), content_type=encoding
        )

    return handle


async def _ingested(ingest: Ingest, found: Sequence[Usage], token: Token) -> list[Result]:
    """In parts, so that others have their turn. What is repeated after a failure counts once."""
    results: list[Result] = []
    for start in range(0, len(found), MAX_EVENTS):
        part = [usage.fields for usage in found[start : start + MAX_EVENTS]]
        results += await ingest.ingest(part, token)
    return results


def _rejected(found: Sequence[Usage], results: Sequence[Result]) -> tuple[int, str]:
    """How many were refused, and one line that says why, the most frequent reason first."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for usage, result in zip(found, results, strict=True):
        if result.refusal is not None:
            reasons[str(result.refusal)].append(usage.what)
    ranked = sorted(reasons.items(), key=lambda reason: -len(reason[1]))
    parts = [
        f"{reason} ({whats[0]}" + (f" and {len(whats) - 1} more)" if len(whats) > 1 else ")")
        for reason, whats in ranked[:MAX_REASONS]
    ]
    if len(ranked) > MAX_REASONS:
        parts.append(f"and {len(ranked) - MAX_REASONS} other reasons")
    return sum(map(len, reasons.values())), " ".join("; ".join(parts).split())


def _unsupported(encoding: str) -> RequestRefused:
    right = " or ".join(otlp.ENCODINGS)
    return RequestRefused(
        415, "unsupported_media_type", f"content-type {encoding[:80]!r}: {right} would be right"
    )


def _encoding(request: web.Request) -> str:
    """What the body is said to be; empty where it is not said."""
    return request.content_type if "Content-Type" in request.headers else ""


def _as_status(request: web.Request, refused: RequestRefused) -> web.Response:
    """A `google.rpc.Status`, in JSON for whoever sends neither encoding."""
    said = _encoding(request)
    encoding = said if said in otlp.ENCODINGS else otlp.JSON
    code = RPC_CODES.get(refused.status, UNKNOWN)
    return web.Response(
        body=otlp.failure(code, refused.as_json()["error"], encoding),
        status=refused.status,
        headers=refused.headers,
        content_type=encoding,
    )


def _operation(signal: str, items: str) -> Mapping[str, Any]:
    anything = {"schema": {"type": "object"}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {otlp.JSON: anything, otlp.PROTOBUF: binary}
    refusals = {status: {**refusal, "content": content} for status, refusal in REFUSALS.items()}
    return {
        "operationId": f"post{signal.capitalize()}",
        "summary": f"OTLP {signal}",
        "description": f"Usage is accepted once Kafka has it; `partialSuccess` counts the {items} "
        "that are usage and were refused.",
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "The answer of OTLP.", "content": content},
            **refusals,
        },
    }
